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
            "train torn data.bad_rows=skip model=gbdt",
        ],
        expect![[r#""#]],
    );
    // Pictures of one pixel are pictures, and broken ones are left out when that is asked for.
    desk.ok(&["train", "dots", "model=baseline", "-q", "leaks=warn"]);
    let ran = desk.ok(&["train", "torn", "data.bad_rows=skip", "model=baseline", "leaks=warn"]);
    assert!(ran.stderr.contains("2 rows of torn left out: not readable (bad_rows=skip)"), "{}", ran.stderr);
}
