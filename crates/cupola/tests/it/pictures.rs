//! Folders of pictures through every verb.

use crate::desk::Desk;
use expect_test::expect;

const SIDE: u32 = 28;

/// Grey pictures whose left or right half is bright, by class, and no two alike.
fn halves(rows: u32, seed: u32) -> (Vec<u8>, Vec<u8>) {
    let header =
        |magic: u8, sizes: &[u32]| [&[0, 0, 8, magic][..], &sizes.iter().flat_map(|size| size.to_be_bytes()).collect::<Vec<u8>>()].concat();
    let pixel = |row: u32, place: u32| {
        let is_bright = (place % SIDE < SIDE / 2) == row.is_multiple_of(2);
        let noise = (row * SIDE * SIDE + place + seed * 1_000_003).wrapping_mul(2_654_435_761) >> 24;
        (if is_bright { 150 } else { 20 }) + (noise % 97) as u8
    };
    let pixels = (0..rows).flat_map(|row| (0..SIDE * SIDE).map(move |place| pixel(row, place)));
    let images = header(3, &[rows, SIDE, SIDE]).into_iter().chain(pixels).collect();
    (images, header(1, &[rows]).into_iter().chain((0..rows).map(|row| (row % 2) as u8)).collect())
}

fn put_idx(desk: &Desk) {
    std::fs::create_dir(desk.path("halves")).unwrap();
    for (side, rows, seed) in [("train", 120, 1), ("t10k", 40, 2)] {
        let (images, labels) = halves(rows, seed);
        desk.put(&format!("halves/{side}-images-idx3-ubyte"), images);
        desk.put(&format!("halves/{side}-labels-idx1-ubyte"), labels);
    }
}

/// The same test pictures as files, a folder for each class.
fn put_photos(desk: &Desk) {
    for row in 0..40u32 {
        let folder = format!("photos/{}", row % 2);
        std::fs::create_dir_all(desk.path(&folder)).unwrap();
        let grey = &halves(40, 2).0[16 + (row * SIDE * SIDE) as usize..][..(SIDE * SIDE) as usize];
        let lines = grey.chunks(SIDE as usize).rev().flat_map(|line| line.iter().flat_map(|&grey| [grey; 3]));
        let header = [&b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x1c\0\0\0\x1c\0\0\0\x01\0\x18\0"[..], &[0; 24]].concat();
        desk.put(&format!("{folder}/{row:02}.bmp"), header.into_iter().chain(lines).collect::<Vec<u8>>());
    }
}

#[test]
fn folders_of_pictures_are_learned_and_answered() {
    let desk = Desk::new();
    put_idx(&desk);
    put_photos(&desk);
    let checked = desk.ok(&["check", "halves", "model=lenet5"]);
    expect![[r#"
        column  type      role    why
        image   image     input   160 grey images of 28 x 28
        label   category  target  2 classes, as the data is laid out
        split   category  id      says each row's side

        ok: 160 of 160 rows looked at, target label, model lenet5
    "#]]
    .assert_eq(&checked.stdout);
    desk.ok(&["train", "halves", "model=lenet5_modern", "train.epochs=3", "name=halves", "-q"]);
    let split = desk.json("runs/0001-halves/data/split.json");
    assert_eq!((split["by"].as_str(), split["counts"].to_string().as_str()), (Some("column"), "[107,13,40]"));
    // The test side of the folder, one file of it, and the same pictures as files give the same measures.
    let accuracy = |data: &str| {
        let ran = desk.ok(&["--json", "eval", "runs/0001-halves", data]);
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        (told["targets"][0]["scores"][0]["test"]["value"].as_f64().unwrap(), told["data"]["rows_read"].as_u64())
    };
    let (whole, rows) = accuracy("halves");
    assert!(whole > 0.9 && rows == Some(40), "{whole} on {rows:?}");
    assert_eq!((accuracy("halves/t10k-images-idx3-ubyte"), accuracy("photos")), ((whole, rows), (whole, rows)));
    // A row a file, with its path; a table may name the files too.
    let answered = desk.ok(&["predict", "runs/0001-halves", "photos"]).stdout;
    assert!(answered.starts_with("image,label,prediction,") && answered.contains("\nphotos/0/00.bmp,0,"), "{answered}");
    desk.put("named.csv", "image\nphotos/0/00.bmp\nphotos/1/01.bmp\n");
    let named = desk.ok(&["predict", "runs/0001-halves", "named.csv"]).stdout;
    let answers = |text: &str, path: &str| {
        let line = text.lines().find(|line| line.starts_with(path)).unwrap();
        line.split(',').rev().take(3).map(str::to_owned).collect::<Vec<_>>()
    };
    for path in ["photos/0/00.bmp", "photos/1/01.bmp"] {
        let (one, other) = (answers(&answered, path), answers(&named, path));
        assert_eq!(one.last(), other.last(), "{path}");
        // Rows that are answered together may differ from rows alone in the last bits: sums run in another order.
        let apart = |place: usize| (one[place].parse::<f64>().unwrap() - other[place].parse::<f64>().unwrap()).abs();
        assert!(apart(0) < 1e-5 && apart(1) < 1e-5, "{path}: {one:?} {other:?}");
    }
    desk.ok(&["verify", "runs/0001-halves"]);
    // The resolved recipe names what was found, and gives the same model again.
    desk.ok(&["train", "runs/0001-halves/run.toml", "-q"]);
    assert_eq!(desk.hash("runs/0001-halves"), desk.hash("runs/0002-halves"));
}
