//! The corpora of the fuzz targets in `tests/fuzz`, held to their properties without a fuzzer.

#[path = "fuzz/properties.rs"]
mod properties;

use std::path::Path;

#[track_caller]
fn replay(corpus: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(corpus);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the source") {
        let path = entry.expect("a directory entry").path();
        println!("{}", path.display());
        property(&std::fs::read(&path).expect("a corpus file"));
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn every_text_is_a_configuration_or_is_told_why_not() {
    replay("configuration", properties::configuration);
}
