//! What formats of pictures must do: the same pictures from every one, and no wrong table from a wrong folder.

use super::{options, read_bytes};
use crate::formats::FORMATS;
use crate::{ColumnType, ImageOptions, Input, Notation, ReadOptions, Result, Wanted, conform, conform_files, picture_columns, stream};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BinaryArray, Float64Array, StringArray};
use cupola_task::{Column, Columns, Fault, Field, Images, Kind, Role, Schema};
use expect_test::expect;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A folder of files.
pub(super) fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn idx_images(rows: u8, height: u8, width: u8) -> Vec<u8> {
    let pixels = (0..u32::from(rows) * u32::from(height) * u32::from(width)).map(|place| (place % 256) as u8);
    [0, 0, 8, 3, 0, 0, 0, rows, 0, 0, 0, height, 0, 0, 0, width].into_iter().chain(pixels).collect()
}

fn idx_labels(labels: &[u8]) -> Vec<u8> {
    [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat()
}

fn digits() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("train-images-idx3-ubyte.gz", gzip(&idx_images(5, 2, 3))),
        ("train-labels-idx1-ubyte", idx_labels(&[7, 0, 1, 7, 9])),
        ("t10k-images-idx3-ubyte", idx_images(2, 2, 3)),
        ("t10k-labels-idx1-ubyte.gz", gzip(&idx_labels(&[1, 0]))),
    ]
}

/// The fixtures of formats of folders, by format.
fn fixtures() -> Vec<(&'static str, TempDir)> {
    vec![("idx", folder(&digits())), ("images", folder(&photos())), ("cifar", folder(&cifar())), ("webdataset", folder(&shards()))]
}

/// Records of CIFAR: the label bytes, then planes whose values follow the record.
fn records(labels: &[&[u8]]) -> Vec<u8> {
    let planes = |record: u8| [[record; 1024], [record + 100; 1024], [record + 200; 1024]].concat();
    labels.iter().zip(0u8..).flat_map(|(labels, record)| [labels.to_vec(), planes(record)].concat()).collect()
}

fn cifar() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("data_batch_1.bin", records(&[&[1], &[0]])),
        ("data_batch_2.bin", records(&[&[2]])),
        ("test_batch.bin", records(&[&[1]])),
        ("batches.meta.txt", b"airplane\nautomobile\nbird\n\n".to_vec()),
        ("readme.html", b"<html>".to_vec()),
    ]
}

fn shard(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut shard = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        shard.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    shard.into_inner().unwrap()
}

fn shards() -> Vec<(&'static str, Vec<u8>)> {
    let train = [
        ("a/1.jpg", picture("colour.jpg")),
        ("a/1.cls", b"7\n".to_vec()),
        ("a/2.png", picture("grey.png")),
        ("a/2.json", br#"{"label": "cat", "width": 9}"#.to_vec()),
        ("a/3.txt", b"no picture".to_vec()),
    ];
    vec![("train-000.tar", shard(&train)), ("train-001.tar.gz", gzip(&shard(&train[..2]))), ("val-000.tar", shard(&train[2..4]))]
}

fn picture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pictures").join(name)).unwrap()
}

fn photos() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("train/cat/a.png", picture("grey.png")),
        ("train/cat/deep/b.JPG", picture("colour.png")),
        ("train/dog/c", picture("colour.webp")),
        ("train/dog/d.gif", picture("animated.gif")),
        ("val/cat/e.bmp", picture("colour.bmp")),
        ("test/dog/f.tiff", picture("colour.tiff")),
        ("test/dog/notes.txt", b"none".to_vec()),
        ("test/.hidden/g.png", picture("grey.png")),
        ("README.md", b"photos".to_vec()),
    ]
}

pub(super) fn images(columns: &Columns) -> &Images {
    columns.get("image").and_then(|column| column.images()).unwrap()
}

/// Shape, first pixel and the other cells of each row.
pub(super) fn rows(columns: &Columns) -> Vec<String> {
    let images = images(columns);
    let others = |row: usize| {
        columns.iter().filter_map(move |(_, column)| column.array().map(|array| array.as_string::<i32>().value(row).to_owned()))
    };
    (0..images.len())
        .map(|row| format!("{:?} {} {}", images.shape(row), images.pixels(row)[0], others(row).collect::<Vec<_>>().join(" ")))
        .collect()
}

pub(super) fn refusal<T>(result: Result<T>, root: &Path) -> String {
    let error = result.err().expect("it is refused");
    let hint = error.hint().unwrap_or_default();
    format!("{error}; {hint}").replace(&format!("{}/", root.display()), "").replace(&root.display().to_string(), "FOLDER")
}

fn read_folder(files: &[(&str, Vec<u8>)], given: &[(&str, &str)]) -> String {
    let folder = folder(files);
    match crate::read(&Input::Path(folder.path().to_owned()), &options(given)) {
        Ok(raw) => rows(&raw.columns).join("\n"),
        error => refusal(error, folder.path()),
    }
}

#[test]
fn every_format_of_pictures_has_a_fixture_that_streams_as_it_reads() {
    let fixtures = fixtures();
    for format in FORMATS.iter().filter(|format| format.is_folder() && format.name != "tables") {
        assert!(fixtures.iter().any(|(name, _)| *name == format.name), "{} has a fixture", format.name);
    }
    for (format, folder) in &fixtures {
        let input = Input::Path(folder.path().to_owned());
        let whole = crate::read(&input, &ReadOptions::default()).unwrap();
        let again = crate::read(&input, &options(&[("format", format)])).unwrap();
        assert_eq!((whole.format, rows(&whole.columns), &whole.hash), (*format, rows(&again.columns), &again.hash));
        for size in [1, 2, 3, 100] {
            let stream = stream(&input, &ReadOptions::default(), size).unwrap();
            assert!(stream.total().is_none_or(|total| total == whole.columns.rows() as u64), "{format}");
            assert_eq!(stream.layout(), whole.layout, "{format}");
            let chunks: Vec<_> = stream.map(|chunk| chunk.unwrap()).collect();
            let pieces: Vec<String> = chunks.iter().flat_map(|chunk| rows(&chunk.columns)).collect();
            let places = chunks.iter().flat_map(|chunk| (0..chunk.columns.rows()).map(|row| chunk.places.place(row)));
            assert_eq!(pieces, rows(&whole.columns), "{format} by {size}");
            assert_eq!(places.collect::<Vec<_>>(), (0..pieces.len()).map(|row| whole.place(row)).collect::<Vec<_>>(), "{format} by {size}");
        }
    }
}

#[test]
fn idx_folders_give_images_labels_and_sides() {
    expect![[r#"
        [2, 3, 1] 0 7 train
        [2, 3, 1] 6 0 train
        [2, 3, 1] 12 1 train
        [2, 3, 1] 18 7 train
        [2, 3, 1] 24 9 train
        [2, 3, 1] 0 1 test
        [2, 3, 1] 6 0 test"#]]
    .assert_eq(&read_folder(&digits(), &[]));
    expect![[r#"
        [2, 3, 1] 0 7
        [2, 3, 1] 6 0
        [2, 3, 1] 12 1
        [2, 3, 1] 18 7
        [2, 3, 1] 24 9"#]]
    .assert_eq(&read_folder(&digits()[..2], &[]));
}

#[test]
fn one_file_finds_its_labels() {
    let folder = folder(&digits());
    let raw = crate::read(&Input::Path(folder.path().join("t10k-images-idx3-ubyte")), &ReadOptions::default()).unwrap();
    assert_eq!(rows(&raw.columns), ["[2, 3, 1] 0 1", "[2, 3, 1] 6 0"]);
    assert!(raw.place(1).ends_with("/t10k-images-idx3-ubyte row 2"), "{}", raw.place(1));
    let labels = crate::read(&Input::Path(folder.path().join("train-labels-idx1-ubyte")), &ReadOptions::default());
    expect!["train-labels-idx1-ubyte: found labels, wanted images; name the file of images, as train-images-idx3-ubyte; its labels are found beside it"].assert_eq(&refusal(labels, folder.path()));
}

#[test]
fn wrong_idx_files_are_refused_with_their_place() {
    let with = |place: usize, file: (&'static str, Vec<u8>)| {
        let mut files = digits();
        files[place] = file;
        read_folder(&files, &[])
    };
    let cases = [
        with(1, ("train-labels-idx1-ubyte", idx_labels(&[1, 2]))),
        with(1, ("train-labels-idx1-ubyte", idx_images(5, 1, 1))),
        with(2, ("t10k-images-idx3-ubyte", idx_images(2, 2, 3)[..20].to_vec())),
        with(2, ("t10k-images-idx3-ubyte", [idx_images(2, 2, 3), vec![0]].concat())),
        with(2, ("t10k-images-idx3-ubyte", idx_images(2, 0, 3))),
        with(2, ("train-more-images-idx3-ubyte", idx_images(2, 2, 3))),
        with(2, ("else-images-idx3-ubyte", idx_images(2, 2, 3))),
        with(0, ("train-images-idx3-ubyte", [&[0, 0, 8, 3][..], &[0xff; 12]].concat())),
        with(
            0,
            ("train-images-idx3-ubyte", [&[0, 0, 8, 3, 0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0xff, 0xff], &[0, 0, 0, 1], &[0; 90]].concat()),
        ),
        with(0, ("train-images-idx3-ubyte", idx_images(0, 2, 3))),
    ];
    expect![[r#"
        train-labels-idx1-ubyte: found 2 labels, wanted one for each of 5 images; check that images and labels come from the same data
        FOLDER: found several files of train images, the second train-labels-idx1-ubyte, wanted one file of images for each of train, valid and test; name one file of images, and with test= another
        t10k-images-idx3-ubyte: found 4 bytes where its header promises 12, wanted a whole IDX file; the file is cut off: copy it again
        t10k-images-idx3-ubyte: found more than the 2 items of its header, wanted a whole IDX file and nothing behind it; 
        t10k-images-idx3-ubyte: found images of 3 x 0 pixels, wanted 1 to 100000000 pixels (data.images.max_pixels); write or copy the file again
        FOLDER: found several files of train images, the second train-more-images-idx3-ubyte, wanted one file of images for each of train, valid and test; name one file of images, and with test= another
        FOLDER: found else-images-idx3-ubyte, which is neither train nor test (t10k), wanted one file of images for each of train, valid and test; name one file of images, and with test= another
        train-images-idx3-ubyte: found images of 4294967295 x 4294967295 pixels, wanted 1 to 100000000 pixels (data.images.max_pixels); write or copy the file again
        train-images-idx3-ubyte: found 281470681677825 bytes of pixels, wanted content within data.max_bytes; raise data.max_bytes, or give a part of the images
        train-labels-idx1-ubyte: found 5 labels, wanted one for each of 0 images; check that images and labels come from the same data"#]].assert_eq(&cases.join("\n"));
}

#[test]
fn idx_bytes_of_any_kind_never_panic() {
    let bytes = idx_images(3, 2, 3);
    for length in 1..bytes.len() {
        let error = read_bytes("a-images-idx3-ubyte", &bytes[..length], &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("a-images-idx3-ubyte"), "{error}");
    }
    for at in 0..16 {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            assert!(read_bytes("a-images-idx3-ubyte", damaged, &ReadOptions::default()).is_err(), "byte {at}");
        }
    }
}

#[test]
fn other_folders_are_refused() {
    let cases = [
        read_folder(&[], &[]),
        read_folder(&[("a.csv", vec![b'a']), ("b.csv", vec![]), ("c.csv", vec![]), ("d.csv", vec![])], &[]),
        read_folder(&digits(), &[("format", "csv")]),
    ];
    expect![[r#"
        FOLDER: found an empty folder, wanted a folder that is laid out as one of idx, cifar, webdataset, images, tables; files of a table end in csv, parquet and the like, or are named; pictures lie in a folder for each class
        a.csv: found a header and no row, wanted at least one row; if the first line is data, set data.header=false
        t10k-images-idx3-ubyte:1: found a NUL at byte 0, wanted text; set data.encoding=utf-16be if this is UTF-16 text"#]].assert_eq(&cases.join("\n"));
}

#[test]
fn folders_name_classes_and_sides() {
    let folder = folder(&photos());
    let raw = crate::read(&Input::Path(folder.path().to_owned()), &ReadOptions::default()).unwrap();
    let root = format!("{}/", folder.path().display());
    let places = (0..raw.columns.rows()).map(|row| raw.place(row).replace(&root, ""));
    let shown: Vec<String> = rows(&raw.columns).into_iter().zip(places).map(|(row, place)| format!("{row} {place}")).collect();
    expect![[r#"
        [6, 9, 1] 10 cat train train/cat/a.png
        [6, 9, 3] 20 cat train train/cat/deep/b.JPG
        [6, 9, 3] 20 dog train train/dog/c
        [6, 9, 3] 20 dog train train/dog/d.gif
        [6, 9, 3] 20 cat valid val/cat/e.bmp
        [6, 9, 3] 20 dog test test/dog/f.tiff
        ["1 file that is no picture left out", "1 image of several frames or pages, the first taken"]"#]]
    .assert_eq(&format!("{}\n{:?}", shown.join("\n"), raw.warnings));
    let flat = read_folder(&[("cat/a.png", picture("grey.png")), ("train/b.png", picture("colour.png")), ("a.txt", vec![1])], &[]);
    expect![[r#"
        [6, 9, 1] 10 cat
        [6, 9, 3] 20 train"#]]
    .assert_eq(&flat);
    let loose = read_folder(&[("a.png", picture("grey.png")), ("b.png", picture("one_pixel.png"))], &[]);
    expect![[r#"
        [6, 9, 1] 10 
        [1, 1, 3] 7 "#]]
    .assert_eq(&loose);
}

#[test]
fn imagenet_names_its_classes_in_files() {
    let files = [
        ("train/n02012849/a.JPEG", picture("colour.jpg")),
        ("train/n01440764/b.JPEG", picture("colour.jpg")),
        ("train/n03126707/c.JPEG", picture("colour.jpg")),
        ("val/ILSVRC2012_val_00000001.JPEG", picture("colour.jpg")),
        ("val/ILSVRC2012_val_00000002.JPEG", picture("colour.jpg")),
        ("val/ILSVRC2012_val_00000003.JPEG", picture("colour.jpg")),
    ];
    let words = ("LOC_synset_mapping.txt", b"n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\n".to_vec());
    let index = ("imagenet_class_index.json", br#"{"0": ["n01440764", "tench"], "1": ["n02012849", "great_crane"]}"#.to_vec());
    let answers = ("LOC_val_solution.csv", b"ImageId,PredictionString\nILSVRC2012_val_00000002,n01440764 1 2 3 4 n01440764 1 2 3 4\nILSVRC2012_val_00000001,n03126707 1 2 3 4\n".to_vec());
    let said = [
        read_folder(&[&files[..], &[words, answers]].concat(), &[]),
        read_folder(&[&files[..3], &[index]].concat(), &[]),
        read_folder(&files[..], &[]),
    ];
    expect![[r#"
        [6, 9, 3] 18 tench, Tinca tinca train
        [6, 9, 3] 18 crane (n02012849) train
        [6, 9, 3] 18 crane (n03126707) train
        [6, 9, 3] 18 crane (n03126707) valid
        [6, 9, 3] 18 tench, Tinca tinca valid

        [6, 9, 3] 18 tench
        [6, 9, 3] 18 great crane
        [6, 9, 3] 18 n03126707

        [6, 9, 3] 18 n01440764
        [6, 9, 3] 18 n02012849
        [6, 9, 3] 18 n03126707"#]]
    .assert_eq(&said.join("\n\n"));
}

#[test]
fn wrong_folders_of_pictures_are_refused_with_their_place() {
    let broken = |given: &[(&str, &str)]| {
        let files = [
            ("cat/a.png", picture("grey.png")),
            ("cat/b.jpg", vec![]),
            ("dog/c.jpg", picture("colour.jpg")[..500].to_vec()),
            ("dog/d.png", picture("grey.png")),
        ];
        let folder = folder(&files);
        match crate::read(&Input::Path(folder.path().to_owned()), &options(given)) {
            Ok(raw) => {
                format!("{} of {:?}", rows(&raw.columns).join(", "), raw.skipped).replace(&format!("{}/", folder.path().display()), "")
            }
            error => refusal(error, folder.path()),
        }
    };
    let only_broken = [("cat/b.jpg", vec![]), ("dog/c.jpg", vec![])];
    let empty = folder(&[("cat/a.png", picture("grey.png"))]);
    std::fs::create_dir(empty.path().join("dog")).unwrap();
    let said = [
        broken(&[]),
        broken(&[("bad_rows", "skip")]),
        read_folder(&only_broken, &[("bad_rows", "skip")]),
        refusal(crate::read(&Input::Path(empty.path().to_owned()), &ReadOptions::default()), empty.path()),
        read_folder(
            &[("train/a/a.png", picture("grey.png")), ("val/a/b.png", picture("grey.png")), ("valid/a/b.png", picture("grey.png"))],
            &[],
        ),
        read_folder(&[("cat/a.txt", vec![1]), ("dog/b.csv", vec![1])], &[]),
        read_folder(&[("cat/a.png", picture("grey.png"))], &[("max_bytes", "20")]),
        refusal(read_bytes("a.png", picture("grey.png"), &ReadOptions::default()), Path::new("/nowhere")),
    ];
    expect![[r#"
        cat/b.jpg: found an empty file, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture; copy the file again, or leave it out; data.bad_rows=skip leaves such pictures out
        [6, 9, 1] 10 cat, [6, 9, 1] 10 dog of Skipped { count: 2, places: ["cat/b.jpg: found an empty file, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture", "dog/c.jpg: found a JPEG that is cut off, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture"] }
        FOLDER: found 2 bad rows and no good one, the first at cat/b.jpg: found an empty file, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture, wanted at least one row; read it with bad_rows=fail to see what is wrong
        dog: found a folder without a picture, wanted pictures of the class that it names; fill it or remove it
        FOLDER: found the folders val and valid, wanted one folder for each side; put them together, or rename one
        FOLDER: found a folder of folders (cat, dog) without images, wanted a folder that is laid out as one of idx, cifar, webdataset, images, tables; files of a table end in csv, parquet and the like, or are named; pictures lie in a folder for each class
        cat/a.png: found 75 bytes, wanted a file within data.max_bytes; mend or remove the file; data.bad_rows=skip leaves such pictures out
        a.png: found one picture, wanted a table, or a folder of pictures; name the folder it lies in"#]].assert_eq(&said.join("\n"));
    assert_eq!(read_bytes("a.csv", "BMI,age\n1,2\n", &ReadOptions::default()).unwrap().format, "csv");
}

#[cfg(unix)]
#[test]
fn links_that_lead_back_are_left_out() {
    let folder = folder(&[("cat/a.png", picture("grey.png")), ("dog/a.png", picture("grey.png"))]);
    std::os::unix::fs::symlink(folder.path().join("cat"), folder.path().join("cat/again")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("nowhere"), folder.path().join("cat/b.png")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("dog/a.png"), folder.path().join("dog/b.png")).unwrap();
    let raw = crate::read(&Input::Path(folder.path().to_owned()), &ReadOptions::default()).unwrap();
    assert_eq!((raw.columns.rows(), raw.warnings.len()), (3, 1), "{:?}", raw.warnings);
}

#[cfg(unix)]
#[test]
fn names_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder(&[("cat/a.png", picture("grey.png"))]);
    let odd = std::ffi::OsStr::from_bytes(b"dog\xff");
    std::fs::write(folder.path().join("cat").join(odd), picture("grey.png")).unwrap();
    let raw = crate::read(&Input::Path(folder.path().to_owned()), &ReadOptions::default()).unwrap();
    assert_eq!(raw.columns.rows(), 2);
    std::fs::create_dir(folder.path().join(odd)).unwrap();
    std::fs::write(folder.path().join(odd).join("a.png"), picture("grey.png")).unwrap();
    let error = refusal(crate::read(&Input::Path(folder.path().to_owned()), &ReadOptions::default()), folder.path());
    assert!(error.ends_with("found a name that is not UTF-8, wanted the name of a class; rename the folder"), "{error}");
}

#[test]
fn cifar_gives_colours_and_names() {
    let folder = folder(&cifar());
    let raw = crate::read(&Input::Path(folder.path().to_owned()), &ReadOptions::default()).unwrap();
    assert_eq!(images(&raw.columns).pixels(1)[..6], [1, 101, 201, 1, 101, 201]);
    expect![[r#"
        [32, 32, 3] 0 automobile train
        [32, 32, 3] 1 airplane train
        [32, 32, 3] 0 bird train
        [32, 32, 3] 0 automobile test"#]]
    .assert_eq(&rows(&raw.columns).join("\n"));
    assert!(raw.place(2).ends_with("data_batch_2.bin row 1"), "{}", raw.place(2));
    let hundred = [
        ("train.bin", records(&[&[9, 1], &[8, 0]])),
        ("test.bin", records(&[&[9, 2]])),
        ("fine_label_names.txt", b"apple\nbear\nbee".to_vec()),
        ("coarse_label_names.txt", b"fruit".to_vec()),
    ];
    expect![[r#"
        [32, 32, 3] 0 bear train
        [32, 32, 3] 1 apple train
        [32, 32, 3] 0 bee test"#]]
    .assert_eq(&read_folder(&hundred, &[]));
}

#[test]
fn wrong_cifar_files_are_refused_with_their_place() {
    let with = |file: (&'static str, Vec<u8>)| read_folder(&[&cifar()[1..], &[file]].concat(), &[]);
    let said = [
        with(("data_batch_1.bin", records(&[&[1], &[0]])[..4000].to_vec())),
        with(("data_batch_1.bin", records(&[&[1], &[3]]))),
        read_folder(&[("data_batch_1.bin", vec![])], &[]),
    ];
    expect![[r#"
        data_batch_1.bin: found 927 bytes behind 1 records of 3073, wanted whole records; the file is cut off or no CIFAR file: copy it again
        data_batch_1.bin row 2: found class 3, wanted one of the 3 classes that are named; the file is damaged, or belongs to another list of classes
        FOLDER: found a header and no row, wanted at least one row; if the first line is data, set data.header=false"#]].assert_eq(&said.join("\n"));
}

#[test]
fn shards_hold_samples() {
    let folder = folder(&shards());
    let whole = crate::read(&Input::Path(folder.path().to_owned()), &ReadOptions::default()).unwrap();
    expect![[r#"
        [6, 9, 3] 18 7 train
        [6, 9, 1] 10 cat train
        [6, 9, 3] 18 7 train
        [6, 9, 1] 10 cat valid
        ["1 samples without a picture left out"]"#]]
    .assert_eq(&format!("{}\n{:?}", rows(&whole.columns).join("\n"), whole.warnings));
    assert!(whole.place(1).ends_with("train-000.tar: a/2.png"), "{}", whole.place(1));
    let count =
        |pattern: &str| crate::read(&Input::Path(folder.path().join(pattern)), &ReadOptions::default()).map(|raw| raw.columns.rows());
    assert_eq!((count("train-000.tar").unwrap(), count("train-*").unwrap(), count("{train,val}-{000..000}.tar").unwrap()), (2, 3, 3));
    expect!["train-001.tar: found no such file, wanted a file; train-{000..002}.tar stands for 3 files"]
        .assert_eq(&refusal(count("train-{000..002}.tar"), folder.path()));
}

#[test]
fn every_beginning_of_a_shard_is_refused() {
    let whole = shards().remove(0).1;
    let end = whole.len() - 1024;
    for length in (1..end + 512).step_by(7) {
        let error = read_bytes("a.tar", &whole[..length], &options(&[("format", "webdataset")])).unwrap_err();
        assert!(error.to_string().starts_with("a.tar"), "{length}: {error}");
    }
    for at in (0..end).step_by(3) {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            let _ = read_bytes("a.tar", damaged, &ReadOptions::default());
        }
    }
}

/// A table that names pictures, read as training reads it.
fn named(table: &str, asked: &[(&str, ColumnType)], given: &[(&str, &str)]) -> String {
    let files = [
        ("table.csv", table.as_bytes().to_vec()),
        ("photos/a.png", picture("grey.png")),
        ("photos/b.png", picture("alpha.png")),
        ("photos/c.jpg", picture("colour.jpg")[..300].to_vec()),
    ];
    let folder = folder(&files);
    let input = Input::Path(folder.path().join("table.csv"));
    let base = input.folder().unwrap();
    let raw = crate::read(&input, &ReadOptions::default()).unwrap();
    let asked = asked.iter().map(|(name, asked)| ((*name).to_owned(), *asked)).collect();
    let names = picture_columns(&raw.columns, &asked, &["y"], &base);
    match raw.with_pictures(&names, &base, &options(given)) {
        Ok(raw) if names.is_empty() => format!("no pictures in {} rows", raw.columns.rows()),
        Ok(raw) => {
            let images = raw.columns.get("photo").and_then(|column| column.images()).unwrap();
            let shapes: Vec<_> = images.shapes().collect();
            let last = raw.place(images.len() - 1).replace(&format!("{}/", folder.path().display()), "");
            format!("{shapes:?}, the last at {last}, {} skipped, {:?}", raw.skipped.count, raw.warnings)
        }
        error => refusal(error, folder.path()),
    }
}

#[test]
fn tables_name_pictures() {
    let said = [
        named("photo,y\nphotos/a.png,1\nphotos/b.png,2\n", &[], &[]),
        named("photo,y\nphotos/a.png,1\nphotos/none.png,2\n", &[], &[]),
        named("photo,y\nphotos/a.png,1\nphotos/none.png,2\n", &[("photo", ColumnType::Image)], &[]),
        named("photo,y\nphotos/c.jpg,1\nphotos/a.png,2\n", &[], &[]),
        named("photo,y\nphotos/c.jpg,1\nphotos/a.png,2\n,3\n", &[], &[("bad_rows", "skip")]),
        named("photo,y\nphotos/a.png,1\n../photos/a.png,2\n", &[("photo", ColumnType::Image)], &[]),
        named("photo,y\nphotos/a.png,1\n/etc/hostname,2\n", &[("photo", ColumnType::Image)], &[]),
        named("photo,y\nphotos/a.png,1\nphotos/b.png,2\n", &[("photo", ColumnType::Category)], &[]),
        named("x,y\n1,photos/a.png\n2,photos/b.png\n", &[], &[]),
    ];
    expect![[r#"
        [[6, 9, 1], [6, 9, 3]], the last at table.csv:3, 0 skipped, ["1 image with transparency laid on white"]
        no pictures in 2 rows
        table.csv:3: column photo: photos/none.png: No such file or directory (os error 2); paths are relative to FOLDER; data.bad_rows=skip leaves such rows out
        table.csv:2: column photo: photos/c.jpg: found a JPEG that is cut off, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture; copy the file again, or leave it out; data.bad_rows=skip leaves such rows out
        [[6, 9, 1]], the last at table.csv:3, 2 skipped, []
        table.csv:3: column photo: found "../photos/a.png", wanted a path below the table's folder; name pictures by paths relative to the table, without ..; data.bad_rows=skip leaves such rows out
        table.csv:3: column photo: found "/etc/hostname", wanted a path below the table's folder; name pictures by paths relative to the table, without ..; data.bad_rows=skip leaves such rows out
        no pictures in 2 rows
        no pictures in 2 rows"#]].assert_eq(&said.join("\n"));
}

/// The server's rows come through `conform`, which opens no file whatever they say.
#[test]
fn only_rows_that_may_open_files_do() {
    let folder = folder(&[("a.png", picture("grey.png"))]);
    let schema = Schema { fields: vec![Field { name: "photo".into(), kind: Kind::Image { channels: 1, size: None }, role: Role::Input }] };
    let of = |array: ArrayRef| Columns::new(vec![("photo".into(), Column::Array(array))]);
    let paths = |text: &str| of(Arc::new(StringArray::from(vec![text])));
    let place = |row: usize| format!("row {}", row + 1);
    let shown = |columns: &Columns, base: Option<&Path>| {
        let result = match base {
            Some(base) => conform_files(columns, &schema, &Notation::default(), &place, Wanted::Inputs, base),
            None => conform(columns, &schema, &Notation::default(), &place, Wanted::Inputs),
        };
        match result {
            Ok(conformed) => format!("{:?}", conformed.columns.get("photo").and_then(|column| column.images()).unwrap().shape(0)),
            error => refusal(error, folder.path()),
        }
    };
    let bytes = |bytes: Vec<u8>| of(Arc::new(BinaryArray::from_vec(vec![&bytes])));
    let whole = folder.path().join("a.png").display().to_string();
    let said = [
        shown(&paths("a.png"), Some(folder.path())),
        shown(&paths("a.png"), None),
        shown(&paths(&whole), None),
        shown(&paths(&whole), Some(folder.path())),
        shown(&paths("../a.png"), Some(folder.path())),
        shown(&bytes(picture("grey.png")), None),
        shown(&bytes(b"a.png".to_vec()), None),
        shown(&of(Arc::new(Float64Array::from(vec![1.0]))), None),
        shown(&of(Arc::new(StringArray::from(vec![None::<&str>]))), None),
    ];
    expect![[r#"
        [6, 9, 1]
        row 1: column photo: found "a.png", wanted pixels or the bytes of a picture, and no path; 
        row 1: column photo: found "a.png", wanted pixels or the bytes of a picture, and no path; 
        row 1: column photo: found "a.png", wanted a path below the table's folder; name pictures by paths relative to the table, without ..
        row 1: column photo: found "../a.png", wanted a path below the table's folder; name pictures by paths relative to the table, without ..
        [6, 9, 1]
        row 1: column photo: found no picture of a known format, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture; write it as PNG or JPEG, or leave it out
        row 1: column photo: found the type Float64, wanted pixels or the bytes of a picture; 
        row 1: column photo: found nothing, wanted a picture; leave the row out"#]].assert_eq(&said.join("\n"));
    let images = Columns::new(vec![("photo".into(), Column::Images(Images::packed(vec![0; 12], [[2, 2, 3]])))]);
    assert_eq!(shown(&images, None), "[2, 2, 3]");
    let number = Schema { fields: vec![Field { name: "photo".into(), kind: Kind::Number, role: Role::Input }] };
    let error = conform(&images, &number, &Notation::default(), &place, Wanted::Inputs).unwrap_err();
    assert_eq!(error.to_string(), "row 1: column photo: found images, wanted a number");
}

/// Whoever shrinks when reading and whoever shrinks when answering get the same pixels.
#[test]
fn rows_to_answer_are_made_smaller_as_rows_to_learn_from_were() {
    let folder = folder(&[("a/photo.png", picture("photo.png")), ("b/small.png", picture("colour.png"))]);
    let read = |shrink| {
        let images = ImageOptions { shrink, ..ImageOptions::default() };
        crate::read(&Input::Path(folder.path().to_owned()), &ReadOptions { images, ..ReadOptions::default() }).unwrap().columns
    };
    let (small, large) = (read(Some(12)), read(None));
    assert_eq!((images(&small).shape(0), images(&large).shape(0), images(&small).shape(1)), ([12, 18, 3], [40, 61, 3], [6, 9, 3]));
    let schema = Schema { fields: vec![Field { name: "image".into(), kind: Kind::Image { channels: 3, size: None }, role: Role::Input }] };
    let notation = Notation { shrink: Some(12), ..Notation::default() };
    let conformed = conform(&large, &schema, &notation, &|row| row.to_string(), Wanted::Inputs).unwrap().columns;
    assert_eq!(images(&conformed), images(&small));
}
