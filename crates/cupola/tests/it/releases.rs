//! Model files of past versions open for ever: each file of `fixtures/` was written by the version in its name and is
//! never written again.

use std::path::Path;

#[test]
fn model_files_of_every_version_open_and_answer_as_they_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let model = cupola::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let verified = model.verify().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(verified.rows > 0, "{} proves nothing", path.display());
        seen += 1;
    }
    assert!(seen >= 1);
}
