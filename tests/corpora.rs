//! The corpora of the fuzz targets in `tests/fuzz`, held to their properties without a fuzzer.

#[path = "fuzz/properties.rs"]
mod properties;

use ringferry_runtime::plant::Plant;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[track_caller]
fn replay(corpus: &str, property: fn(&[u8])) {
    for (path, data) in files(corpus) {
        println!("{}", path.display());
        property(&data);
    }
}

/// The files of a corpus, at least one.
#[track_caller]
fn files(corpus: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(corpus);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the source") {
        let path = entry.expect("a directory entry").path();
        files.push((path.clone(), std::fs::read(&path).expect("a corpus file")));
    }
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

#[test]
fn every_text_is_a_configuration_or_is_told_why_not() {
    replay("configuration", properties::configuration);
}

#[test]
fn no_script_of_operations_breaks_a_core() {
    replay("script", properties::script);
}

/// A replay that finds nothing, whatever is wrong, would prove nothing.
#[test]
fn scripts_find_bugs_that_are_planted_in_the_runtime() {
    let scripts = files("script");
    for plant in [Plant::LeakedAccept, Plant::BufferReturnedTwice, Plant::CancelLost] {
        let _sown = plant.sow();
        let found = scripts.iter().any(|(_, data)| catch_unwind(|| properties::script(data)).is_err());
        assert!(found, "{plant:?} is not found");
    }
}
