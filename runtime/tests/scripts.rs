//! Short scripts of operations on simulated cores: those of the fuzz target `script` that are small enough for Miri, which
//! sees whether buffers, slots and tasks are used only by whom they belong to. `tests/corpora.rs` replays all of them.

#[path = "../../tests/fuzz/script/mod.rs"]
mod script;

use std::path::Path;

/// Miri takes a minute for what else takes a tenth of a second.
const SCRIPT_BYTES_MAX: usize = if cfg!(miri) { 150 } else { 400 };

#[test]
fn short_histories_leave_cores_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/script");
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is part of the source") {
        let path = entry.expect("a directory entry").path();
        let data = std::fs::read(&path).expect("a corpus file");
        if data.len() <= SCRIPT_BYTES_MAX {
            println!("{}", path.display());
            script::run(&data);
            scripts += 1;
        }
    }
    assert!(scripts > 0, "there are no short ones");
}
