use super::*;
use crate::{Input, ReadOptions, read};
use expect_test::{Expect, expect};

fn check(csv: &str, overrides: &[(&str, ColumnType)], targets: &[&str], expected: &Expect) {
    let raw = read(&Input::Bytes { name: "a.csv".into(), bytes: csv.to_owned().into() }, &ReadOptions::default()).unwrap();
    let overrides = overrides.iter().map(|(name, asked)| ((*name).to_owned(), *asked)).collect();
    let text = match infer(&raw.columns, &overrides, targets, &|row| raw.place(row)) {
        Ok(list) => list.iter().map(line).collect(),
        Err(error) => format!("{error}\nhint: {}\n", cupola_task::Fault::hint(&error).unwrap_or_default()),
    };
    expected.assert_eq(&text);
}

fn line(column: &Inferred) -> String {
    let role = match column.role {
        Role::Input => "",
        Role::Ignored => " (ignored)",
        Role::Key(_) => " (key)",
        Role::Target(Task::Regress) => " (target, regress)",
        Role::Target(_) => " (target, classify)",
    };
    let classes = column.kind.classes().filter(|classes| !classes.is_empty()).map(|classes| format!(" {classes:?}")).unwrap_or_default();
    format!(
        "{}: {} as {}{classes}{role}, {} missing: {}\n",
        column.name,
        column.column_type,
        column.kind.word(),
        column.missing,
        column.reason
    )
}

/// A table of `rows` rows under a header; `cell` writes a row.
fn table(header: &str, rows: usize, cell: impl Fn(usize) -> String) -> String {
    std::iter::once(header.to_owned()).chain((0..rows).map(cell)).map(|line| line + "\n").collect()
}

#[test]
fn types_are_found_with_reasons() {
    let csv = table("id,age,zip,job,day,note,flag,one,none,account,uuid,city,income,grade", 40, |row| {
        let note = if row % 7 == 0 { String::new() } else { format!("case {row} went on for some time") };
        let (day, age, job, flag) = (row % 28 + 1, row % 9 + 20, ["clerk", "smith", "cook"][row % 3], row % 2);
        let (income, grade) = ([">50K", "<=50K"][row % 2], row % 12);
        format!(
            "{row},{age}.5,0{row:04},{job},2021-01-{day:02},{note},{flag},x,,12345678901234567{row:02},0000000{0}-0000-0000-0000-0000000000{row:02},c{row},{income},{grade}",
            row % 10
        )
    });
    check(
        &csv,
        &[],
        &["income", "grade"],
        &expect![[r#"
            id: id as category (key), 0 missing: all 40 values are numbers, 40 distinct, whole and all different under this name
            age: number as number, 0 missing: all 40 values are numbers, 9 distinct
            zip: id as category (key), 0 missing: 40 distinct texts in 40 values, all different, digits that are no amount (leading zeros or too many digits, as at a.csv:2)
            job: category as category, 0 missing: 3 distinct texts in 40 values
            day: date as date, 0 missing: all 40 values are dates like %Y-%m-%d
            note: text as text, 6 missing: 34 distinct texts in 34 values, of several words
            flag: binary as number, 0 missing: all 40 values are numbers, 2 distinct
            one: constant as category (ignored), 0 missing: all 40 values are "x"
            none: constant as category (ignored), 40 missing: all values are missing
            account: id as category (key), 0 missing: 40 distinct texts in 40 values, all different, digits that are no amount (leading zeros or too many digits, as at a.csv:2)
            uuid: id as category (key), 0 missing: 40 distinct texts in 40 values, all different
            city: id as category (key), 0 missing: 40 distinct texts in 40 values, all different
            income: binary as category ["<=50K", ">50K"] (target, classify), 0 missing: 2 distinct texts in 40 values
            grade: category as category ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"] (target, classify), 0 missing: all 40 values are numbers, 12 distinct, so it is a class
        "#]],
    );
}

#[test]
fn faults_are_not_made_categories() {
    let dirty = table("x,y", 30, |row| if row == 17 { "12o,1".to_owned() } else { format!("{row},1") });
    check(
        &dirty,
        &[],
        &[],
        &expect![[r#"
        a.csv:19: column x: found "12o", while 29 of 30 values are numbers, wanted a number
        hint: correct the cell, add "12o" to data.missing_values if it stands for a missing value, or set inputs.x.type=category if it holds names
    "#]],
    );
    check(
        &dirty,
        &[("x", ColumnType::Category)],
        &[],
        &expect![[r#"
        x: category as category, 0 missing: set by the recipe
        y: constant as number (ignored), 0 missing: all 30 values are "1"
    "#]],
    );
    check(
        &dirty,
        &[("x", ColumnType::Number)],
        &[],
        &expect![[r#"
        a.csv:19: column x: found "12o", wanted a number
        hint: correct the cell, add it to data.missing_values, or leave out type=number
    "#]],
    );
    check(
        "a;b\n1,234;x\n987;y\n",
        &[],
        &[],
        &expect![[r#"
            a.csv:2: column a: found "1,234", with a thousands separator, while 1 of 2 values is a number, wanted a number
            hint: set data.thousands=comma, or data.decimal=comma if it stands before fractions, or set inputs.a.type=category if it holds names
        "#]],
    );
    check(
        "a;b\n1,862;x\n0,25;y\n",
        &[],
        &[],
        &expect![[r#"
            a.csv:2: column a: found "1,862", with a decimal comma, while 0 of 2 values are numbers, wanted a number
            hint: set data.decimal=comma, or set inputs.a.type=category if it holds names
        "#]],
    );
    check(
        "a;b\n1,5;x\n0,25;y\n",
        &[],
        &[],
        &expect![[r#"
            a.csv:2: column a: found "1,5", with a decimal comma, while 0 of 2 values are numbers, wanted a number
            hint: set data.decimal=comma, or set inputs.a.type=category if it holds names
        "#]],
    );
    check(
        "a,b\n1,x\n2,y\nz,y\n",
        &[("c", ColumnType::Number)],
        &[],
        &expect![[r#"
        setting inputs.c: found no column of that name, wanted a column of the table
        hint: did you mean a?
    "#]],
    );
    check(
        "a,b\n1,x\n2,y\nz,y\n",
        &[("a", ColumnType::Date)],
        &["bb"],
        &expect![[r#"
        setting outputs.bb: found no column of that name, wanted a column of the table
        hint: did you mean b?
    "#]],
    );
    check(
        "a,b\n,x\n,y\n",
        &[],
        &["a"],
        &expect![[r#"
        a.csv:2: column a: found a target without any value, wanted values to learn
        hint: choose another target, or check data.missing_values
    "#]],
    );
    check(
        "a,b\n1,x\n2,y\n3,y\n",
        &[("a", ColumnType::Binary)],
        &[],
        &expect![[r#"
        setting a.type: found 3 distinct values, wanted two for type=binary
        hint: set type=category
    "#]],
    );
}

#[test]
fn dates_with_two_meanings_stay_words() {
    check(
        "day,b\n05/01/2021,x\n04/12/2021,y\n05/02/2021,y\n",
        &[],
        &[],
        &expect![[r#"
        day: category as category, 0 missing: 3 distinct texts in 3 values; they fit both %d/%m/%Y and %m/%d/%Y: write them as YYYY-MM-DD to make them dates
        b: binary as category, 0 missing: 2 distinct texts in 3 values
    "#]],
    );
    check(
        "day,b\n05/01/2021,x\n31/12/2021,y\n,y\n",
        &[],
        &[],
        &expect![[r#"
        day: date as date, 1 missing: all 2 values are dates like %d/%m/%Y
        b: binary as category, 0 missing: 2 distinct texts in 3 values
    "#]],
    );
    check(
        "day,b\n20210105,x\n20211231,y\n",
        &[("day", ColumnType::Date)],
        &[],
        &expect![[r#"
        day: date as date, 0 missing: set by the recipe
        b: binary as category, 0 missing: 2 distinct texts in 2 values
    "#]],
    );
}

#[test]
fn times_of_day_are_names_when_few_and_else_ignored() {
    let csv = table("start,shift,clock", 30, |row| format!("{:02}:{:02},{}:00:00,{row}:70", row % 24, row, [6, 14, 22][row % 3]));
    check(
        &csv,
        &[],
        &[],
        &expect![[r#"
        start: constant as category (ignored), 0 missing: 30 distinct texts in 30 values, times of day, which are not understood yet; type=category makes them names
        shift: category as category, 0 missing: 3 distinct texts in 30 values
        clock: id as category (key), 0 missing: 30 distinct texts in 30 values, all different
    "#]],
    );
    check(
        &csv,
        &[("start", ColumnType::Category)],
        &["shift"],
        &expect![[r#"
        start: category as category, 0 missing: set by the recipe
        shift: category as category ["14:00:00", "22:00:00", "6:00:00"] (target, classify), 0 missing: 3 distinct texts in 30 values
        clock: id as category (key), 0 missing: 30 distinct texts in 30 values, all different
    "#]],
    );
}

#[test]
fn number_targets_with_few_values_are_classes() {
    check(
        "x,y\n1,1.5\n2,2.5\n3,3.25\n",
        &[],
        &["y"],
        &expect![[r#"
        x: number as number, 0 missing: all 3 values are numbers, 3 distinct
        y: number as number (target, regress), 0 missing: all 3 values are numbers, 3 distinct
    "#]],
    );
    check(
        "x,y\n1,10\n2,9\n3,9\n",
        &[],
        &["y"],
        &expect![[r#"
        x: number as number, 0 missing: all 3 values are numbers, 3 distinct
        y: binary as category ["9", "10"] (target, classify), 0 missing: all 3 values are numbers, 2 distinct, so it is a class
    "#]],
    );
    check(
        "x,y\n1,10\n2,9\n3,9\n",
        &[("y", ColumnType::Number)],
        &["y"],
        &expect![[r#"
        x: number as number, 0 missing: all 3 values are numbers, 3 distinct
        y: number as number (target, regress), 0 missing: set by the recipe
    "#]],
    );
    check(
        "x,y\n1,True\n2,FALSE\n3,False\n",
        &[],
        &["y"],
        &expect![[r#"
        x: number as number, 0 missing: all 3 values are numbers, 3 distinct
        y: binary as category ["false", "true"] (target, classify), 0 missing: 2 distinct texts in 3 values
    "#]],
    );
}
