//! Folders that teach nothing, and pictures that are none.

use crate::desk::Desk;
use expect_test::expect;

/// A BMP of that many pixels a side.
fn bmp(side: u8, grey: u8) -> Vec<u8> {
    let line = (usize::from(side) * 3).next_multiple_of(4);
    let header = [&b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0"[..], &[side, 0, 0, 0, side, 0, 0, 0, 1, 0, 24, 0], &[0; 24]].concat();
    [header, vec![grey; line * usize::from(side)]].concat()
}

#[test]
fn folders_that_teach_nothing() {
    let desk = Desk::new();
    let put = |name: &str, bytes: Vec<u8>| {
        let path = desk.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for row in 0..12 {
        put(&format!("one/cat/{row}.bmp"), bmp(4, row));
        put(&format!("loose/{row}.bmp"), bmp(4, row));
        put(&format!("torn/{}/{row}.bmp", row % 2), bmp(4, row));
        put(&format!("text/{}/{row}.txt", row % 2), b"none".to_vec());
        put(&format!("dots/{}/{row}.bmp", row % 2), bmp(1, row));
    }
    put("torn/1/torn.bmp", bmp(4, 99)[..60].to_vec());
    put("torn/1/empty.jpg", vec![]);
    put("hole/cat/1.bmp", bmp(4, 1));
    std::fs::create_dir_all(desk.path("hole/dog")).unwrap();
    std::fs::create_dir_all(desk.path("nothing")).unwrap();
    desk.put("named.csv", "photo,y\nloose/1.bmp,a\n../secret.bmp,b\n");
    desk.refuses(
        &[
            "train one model=lenet5",
            "train loose model=lenet5",
            "check loose model=lenet5",
            "train torn model=lenet5",
            "train text model=lenet5",
            "train hole model=lenet5",
            "train nothing model=lenet5",
            "train torn/1/1.bmp model=lenet5",
            "train one data.format=idx",
            "train one/*.tar",
            "train torn data.images.max_pixels=9",
            "train torn data.images.shrink=3",
            "train named.csv target=y inputs.photo.type=image model=lenet5",
        ],
        expect![[r#"
            $ train one model=lenet5
            target: label, as the data is laid out
            error: failed to train: target label: found one class (cat) in all 10 training rows, wanted at least two
            hint: is this the right column? `target=` names it
            = 3
            $ train loose model=lenet5
            error: failed to train: loose: no target: the pictures have no labels
            hint: put a file of labels beside them, a folder for each class, or a table that names the pictures
            = 2
            $ check loose model=lenet5
            error: failed to check the data: loose: no target: the pictures have no labels
            hint: put a file of labels beside them, a folder for each class, or a table that names the pictures
            = 2
            $ train torn model=lenet5
            error: failed to train: torn/1/empty.jpg: found an empty file, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture
            hint: copy the file again, or leave it out; data.bad_rows=skip leaves such pictures out
            = 3
            $ train text model=lenet5
            error: failed to train: text: found a folder of folders (0, 1) without images, wanted a folder that is laid out as one of idx, cifar, webdataset, images, tables
            hint: files of a table end in csv, parquet and the like, or are named; pictures lie in a folder for each class
            = 3
            $ train hole model=lenet5
            error: failed to train: hole/dog: found a folder without a picture, wanted pictures of the class that it names
            hint: fill it or remove it
            = 3
            $ train nothing model=lenet5
            error: failed to train: nothing: found an empty folder, wanted a folder that is laid out as one of idx, cifar, webdataset, images, tables
            hint: files of a table end in csv, parquet and the like, or are named; pictures lie in a folder for each class
            = 3
            $ train torn/1/1.bmp model=lenet5
            error: failed to train: torn/1/1.bmp: found one picture, wanted a table, or a folder of pictures
            hint: name the folder it lies in
            = 3
            $ train one data.format=idx
            error: failed to train: one: found no IDX file of images, wanted train-images-idx3-ubyte or the like
            hint: leave out data.format
            = 3
            $ train one/*.tar
            error: failed to train: one/*.tar: found no such file, wanted a file
            hint: *.tar stands for one file
            = 3
            $ train torn data.images.max_pixels=9
            error: failed to train: torn/0/0.bmp: found 4 x 4 pixels, wanted at most 9 (data.images.max_pixels)
            hint: make the picture smaller, or raise data.images.max_pixels; data.bad_rows=skip leaves such pictures out
            = 3
            $ train torn data.images.shrink=3
            error: failed to check the recipe: command line: data.images.shrink: found 3, wanted auto|off, or a whole number in 8..65536
            hint: the default is "auto"
            = 2
            $ train named.csv target=y inputs.photo.type=image model=lenet5
            error: failed to train: named.csv:3: column photo: found "../secret.bmp", wanted a path below the table's folder
            hint: name pictures by paths relative to the table, without ..; data.bad_rows=skip leaves such rows out
            = 3
        "#]],
    );
    // Pictures of one pixel are pictures, and broken ones are left out when that is asked for.
    desk.ok(&["train", "dots", "model=baseline", "-q", "leaks=warn"]);
    let ran = desk.ok(&["train", "torn", "data.bad_rows=skip", "model=baseline", "leaks=warn"]);
    assert!(ran.stderr.contains("2 rows of torn left out: not readable (bad_rows=skip)"), "{}", ran.stderr);
}
