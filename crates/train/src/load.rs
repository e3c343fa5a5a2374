//! Files into typed tables: reading, types, roles, and what the target must be like.

use crate::fit::read_all;
use crate::making::{self, Making};
use crate::recipe;
use crate::report::{ColumnSummary, DataFile};
use crate::{Error, Plan, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, StringArray};
use cupola_data::lags::Lags;
use cupola_data::split::{self, SplitSettings, TestRows};
use cupola_data::{
    Chunk, ColumnType, Inferred, Input, Layout, Notation, Places, Raw, Wanted, conform, infer, picture_columns, read_numbers,
};
use cupola_task::{Batch, Column, Columns, Dataset, Field, Key, Kind, Role, Schema, Splits, Table, Task, TrainSplit, Value, nearest};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// The tables of a run.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// The rows to learn from (and, without a test file, to measure on).
    pub table: Table,
    /// The rows of the test file.
    pub test: Option<Table>,
    /// What each column was taken for.
    pub columns: Vec<ColumnSummary>,
    /// The files.
    pub files: Vec<DataFile>,
    /// Sentences about what looked odd or was left out.
    pub warnings: Vec<String>,
    /// Sentences about what was decided because the recipe does not say it.
    pub notes: Vec<String>,
    /// How the rows are to be split.
    pub split: SplitSettings,
    /// How dates and missing values are written.
    pub notation: Notation,
    /// What is made of targets before they have types.
    pub making: Making,
    origin: Provenance,
    test_origin: Option<Provenance>,
}

/// Where the rows of a table come from.
#[derive(Clone)]
struct Provenance {
    places: Places,
    /// The rows of the file that were kept, when not all were.
    kept: Option<Vec<u64>>,
}

impl Provenance {
    fn place(&self, row: usize) -> String {
        self.places.place(self.kept.as_ref().map_or(row, |kept| kept[row] as usize))
    }
}

impl Loaded {
    /// The raw schema: classes are not known yet.
    pub fn schema(&self) -> &Schema {
        self.table.schema()
    }

    /// Where a row of the table stands in its file.
    pub fn place(&self, row: usize) -> String {
        self.origin.place(row)
    }

    /// The rows of the file that the table has, and how many the file has.
    pub fn rows_of_file(&self) -> (Vec<u64>, u64) {
        let rows = Dataset::len(&self.table);
        let kept = self.origin.kept.clone().unwrap_or_else(|| (0..rows).collect());
        (kept, self.files.first().map_or(rows, |file| file.rows_read))
    }

    /// Where a row of the test table stands in its file.
    pub fn test_place(&self, row: usize) -> String {
        self.test_origin.as_ref().unwrap_or(&self.origin).place(row)
    }
}

/// Reads the plan's files.
///
/// # Errors
/// When a file cannot be read, a column the plan names is not there, a value does not fit its column's type, or rows have no target.
pub(crate) fn load(plan: &Plan) -> Result<Loaded> {
    let raw = read_numbers(&plan.train, &plan.read, &texts(plan))?;
    let (plan, mut notes) = laid_out(plan, raw.layout);
    let mut raw = raw;
    let mut columns = raw.columns.clone();
    let (plan, mut making) = making::make(plan, &mut columns, &|row| raw.place(row))?;
    raw.columns = columns;
    let plan = &*plan;
    let names = named_pictures(plan, &plan.train, &raw.columns, raw.layout);
    let mut raw = with_pictures(plan, &plan.train, raw, &names)?;
    let mut typed = typed(plan, raw.layout, &raw.columns, &|row| raw.place(row))?;
    making.tell_lists(&mut typed.columns);
    let mut columns = raw.columns.clone();
    making.lag(plan, &mut columns, &mut typed, &|row| raw.place(row))?;
    raw.columns = columns;
    let mut warnings = raw.warnings.clone();
    warnings.extend(left_out(plan, &typed.columns));
    let mut files = vec![data_file(&raw, "data")];
    let (table, kept) = table(plan, &raw, &typed, &mut warnings)?;
    let test = plan.test.as_ref().map(|test| test_table(plan, test, &typed, &mut making, &mut files, &mut warnings)).transpose()?;
    let test = test.map(|(test, origin)| without_repeats(plan, &table, test, origin, &mut warnings)).transpose()?;
    let (test, test_origin) = test.unzip();
    notes.extend(making.finish(plan));
    warnings.append(&mut making.warnings);
    for file in &files {
        if file.rows_skipped > 0 {
            warnings.push(format!("{} of {} left out: not readable (bad_rows=skip)", counted(file.rows_skipped), file.path));
        }
    }
    let origin = Provenance { places: raw.places, kept };
    let Typed { columns, notation, split, .. } = typed;
    Ok(Loaded { table, test, columns, files, warnings, notes, split, notation, making, origin, test_origin })
}

/// Columns whose text is asked for even where it is a number: names of classes, and what is carried as it is.
fn texts(plan: &Plan) -> BTreeSet<&str> {
    let said = plan.inputs.iter().filter(|(_, input)| input.column_type.is_some_and(|said| said != ColumnType::Number));
    plan.targets.iter().chain(&plan.ignore).chain(said.map(|(name, _)| name)).map(String::as_str).collect()
}

/// The columns of a table that name pictures.
fn named_pictures(plan: &Plan, input: &Input, columns: &Columns, layout: Layout) -> Vec<String> {
    let not_inputs = plan.targets.iter().chain(&plan.ignore).map(String::as_str).collect::<Vec<_>>();
    input.folder().map_or(vec![], |base| picture_columns(columns, &overrides(plan, layout), &not_inputs, &base))
}

fn with_pictures(plan: &Plan, input: &Input, raw: Raw, names: &[String]) -> Result<Raw> {
    match input.folder().filter(|_| !names.is_empty()) {
        Some(base) => Ok(raw.with_pictures(names, &base, &plan.read)?),
        None => Ok(raw),
    }
}

/// The plan with the target that the data's format names, where the recipe names none, and a sentence about it.
fn laid_out(plan: &Plan, layout: Layout) -> (Cow<'_, Plan>, Vec<String>) {
    match layout.target.filter(|_| plan.targets.is_empty()) {
        None => (Cow::Borrowed(plan), vec![]),
        Some(target) => {
            let plan = Plan { targets: vec![target.to_owned()], ..plan.clone() };
            (Cow::Owned(plan), vec![format!("target: {target}, as the data is laid out")])
        }
    }
}

/// A sentence about the columns that nobody asked to leave out.
fn left_out(plan: &Plan, columns: &[ColumnSummary]) -> Option<String> {
    let unasked = |column: &&ColumnSummary| column.role == "ignored" && !plan.ignore.contains(&column.name) && column.reason != LAID_OUT;
    let named: Vec<String> = columns.iter().filter(unasked).map(|column| format!("{} ({})", column.name, column.reason)).collect();
    let more = if named.len() > 5 { format!("; and {} more", named.len() - 5) } else { String::new() };
    (!named.is_empty()).then(|| format!("not learned from: {}{more}", named[..named.len().min(5)].join("; ")))
}

fn data_file(raw: &Raw, purpose: &str) -> DataFile {
    let rows_read = raw.columns.rows() as u64;
    DataFile { path: raw.name.clone(), purpose: purpose.into(), rows_read, rows_skipped: raw.skipped.count, hash: Some(raw.hash.clone()) }
}

/// The schema of a file and how it came about.
pub(crate) struct Typed {
    pub schema: Schema,
    pub notation: Notation,
    pub columns: Vec<ColumnSummary>,
    pub split: SplitSettings,
}

/// The type that the recipe gives a column.
fn said_type(plan: &Plan, name: &str) -> Option<ColumnType> {
    let input = plan.inputs.get(name).and_then(|input| input.column_type);
    input.or_else(|| plan.outputs.get(name).and_then(|output| output.column_type))
}

/// Why a column of sides is no input.
const LAID_OUT: &str = "says each row's side";

/// Types and roles of as-read columns, from the plan and from what they hold.
///
/// # Errors
/// When the plan names a column that is not there, or no target.
pub(crate) fn typed(plan: &Plan, layout: Layout, columns: &Columns, place: &(dyn Fn(usize) -> String + Sync)) -> Result<Typed> {
    check_names(plan, columns)?;
    let targets: Vec<&str> = plan.targets.iter().map(String::as_str).collect();
    let inferred = infer(columns, &overrides(plan, layout), &targets, place)?;
    let test = if plan.test.is_some() { TestRows::Given } else { TestRows::Cut };
    let split = match layout.split {
        Some(column) => SplitSettings::open_laid_out(&plan.split, test, column)?,
        None => SplitSettings::open(&plan.split, test)?,
    };
    let notation = Notation { missing_values: plan.read.missing_values.clone(), shrink: plan.read.images.shrink, ..Notation::default() };
    let mut typed = Typed { schema: Schema::default(), notation, columns: Vec::new(), split };
    for mut column in inferred {
        let mut role = role(plan, &typed.split, &column)?;
        if layout.split == Some(&*column.name) {
            if !matches!(role, Role::Key(_) | Role::Target(_)) {
                role = Role::Ignored;
            }
            column.reason = LAID_OUT.to_owned();
        }
        if layout.target == Some(&*column.name) && said_type(plan, &column.name).is_none() {
            column.reason = format!("{} classes, as the data is laid out", column.distinct);
        }
        if let Some(format) = &column.date_format {
            typed.notation.dates.insert(column.name.to_string(), format.clone());
        }
        typed.columns.push(summary(&column, role));
        typed.schema.fields.push(Field { name: column.name.as_str().into(), kind: column.kind, role });
    }
    if typed.schema.inputs().next().is_none() && !Lags::are_asked(&plan.lag) {
        return Err(no_inputs(plan, &typed.columns));
    }
    Ok(typed)
}

fn no_inputs(plan: &Plan, columns: &[ColumnSummary]) -> Error {
    let why = |column: &ColumnSummary| match plan.ignore.contains(&column.name) {
        true => "ignored by the recipe".to_owned(),
        false if column.role != "ignored" => format!("the {} column", column.role),
        false => column.reason.clone(),
    };
    let others = columns.iter().filter(|column| column.role != "target");
    let left: Vec<String> = others.take(5).map(|column| format!("{} ({})", column.name, why(column))).collect();
    let why = if left.is_empty() { "the target is the only one".to_owned() } else { format!("left out: {}", left.join("; ")) };
    Error::Data(
        format!("no column is left to learn from; {why}"),
        Some("set a type where a guess is wrong: inputs.NAME.type=number".into()),
    )
}

pub(crate) fn overrides(plan: &Plan, layout: Layout) -> BTreeMap<String, ColumnType> {
    let inputs = plan.inputs.iter().filter_map(|(name, input)| Some((name.clone(), input.column_type?)));
    let outputs = plan.outputs.iter().filter_map(|(name, output)| Some((name.clone(), output.column_type?)));
    let mut overrides: BTreeMap<String, ColumnType> = inputs.chain(outputs).collect();
    let tasked = |task| plan.targets.iter().filter(move |_| plan.task == Some(task));
    for target in tasked(Task::Classify) {
        overrides.entry(target.clone()).or_insert(ColumnType::Category);
    }
    for target in tasked(Task::Regress) {
        overrides.entry(target.clone()).or_insert(ColumnType::Number);
    }
    if let Some(weight) = &plan.weight {
        overrides.entry(weight.clone()).or_insert(ColumnType::Number);
    }
    // Classes may be called by numbers, and be many.
    if let Some(target) = layout.target {
        overrides.entry(target.to_owned()).or_insert(ColumnType::Category);
    }
    if let Some(split) = layout.split {
        overrides.insert(split.to_owned(), ColumnType::Category);
    }
    overrides
}

fn check_names(plan: &Plan, columns: &Columns) -> Result<()> {
    if plan.targets.is_empty() && columns.iter().all(|(_, column)| column.images().is_some()) {
        let error = Error::recipe(plan.train.name(), "no target: the pictures have no labels");
        return Err(error.with_hint("put a file of labels beside them, a folder for each class, or a table that names the pictures"));
    }
    if plan.targets.is_empty() {
        let names: Vec<&str> = columns.names().collect();
        let shown = if names.len() > 12 { format!("{}, and {} more", names[..12].join(", "), names.len() - 12) } else { names.join(", ") };
        let example = names.last().copied().unwrap_or("COLUMN");
        return Err(Error::recipe("command line", format!("no target; the columns are {shown}"))
            .with_hint(format!("say what to predict: target={example}")));
    }
    let said = |key: &'static str, names: &[String]| names.iter().map(move |name| (key, name.clone())).collect::<Vec<_>>();
    let mut named = said("target", &plan.targets);
    named.extend(said("ignore", &plan.ignore));
    named.extend(said("sensitive", &plan.sensitive));
    named.extend(plan.weight.iter().map(|name| ("weight", name.clone())));
    named.extend(plan.group.iter().map(|name| ("group", name.clone())));
    named.extend(plan.inputs.keys().map(|name| ("inputs", name.clone())));
    named.extend(plan.outputs.keys().map(|name| ("outputs", name.clone())));
    for (key, name) in named {
        if plan.targets.contains(&name) && matches!(key, "weight" | "group" | "ignore" | "sensitive") {
            return Err(Error::recipe("recipe", format!("{key} names column {name}, which is a target")));
        }
        let is_made = key == "inputs" && Lags::may_make(&plan.lag, &name);
        if columns.get(&name).is_none() && !is_made {
            let error = Error::recipe(plan.train.name(), format!("{key} names column {name}, which is not there"));
            let near = nearest(&name, columns.names()).map(|near| format!("did you mean {near}?"));
            let all = || format!("the columns are {}", columns.names().take(20).collect::<Vec<_>>().join(", "));
            return Err(error.with_hint(near.unwrap_or_else(all)));
        }
    }
    let not_targets = plan.outputs.keys().find(|name| !plan.targets.contains(name));
    not_targets.map_or(Ok(()), |name| Err(Error::recipe("recipe", format!("outputs.{name} is about a column that is no target"))))
}

fn role(plan: &Plan, split: &SplitSettings, column: &Inferred) -> Result<Role> {
    let name = &*column.name;
    if plan.targets.iter().any(|target| target == name) {
        return Ok(Role::Target(task(plan, column)?));
    }
    let is_in = |names: &[String]| names.iter().any(|known| known == name);
    Ok(match split.role() {
        _ if plan.weight.as_deref() == Some(name) => Role::Key(Key::Weight),
        Some((key, role)) if key == name => Role::Key(role),
        _ if plan.group.as_deref() == Some(name) => Role::Key(Key::Group),
        _ if is_in(&plan.sensitive) => Role::Key(Key::Sensitive),
        _ if is_in(&plan.ignore) => Role::Ignored,
        _ => column.role,
    })
}

fn task(plan: &Plan, column: &Inferred) -> Result<Task> {
    match (&column.kind, plan.task) {
        (Kind::Number, None | Some(Task::Regress)) => Ok(Task::Regress),
        (Kind::Category { .. }, None | Some(Task::Classify)) => Ok(Task::Classify),
        (kind, task) => {
            let wanted =
                task.map_or("a number or a category".into(), |task| format!("what can be learned by task={}", recipe::task_word(task)));
            let error = Error::Data(format!("target {}: found {} ({}), wanted {wanted}", column.name, kind.word(), column.reason), None);
            Err(error.with_hint(format!("set outputs.{}.type=category or number", column.name)))
        }
    }
}

fn summary(column: &Inferred, role: Role) -> ColumnSummary {
    ColumnSummary {
        name: column.name.to_string(),
        kind: column.column_type.to_string(),
        role: match role {
            Role::Input => "input".to_owned(),
            Role::Target(_) => "target".to_owned(),
            Role::Key(key) => format!("{key:?}").to_lowercase(),
            Role::Ignored => "ignored".to_owned(),
        },
        reason: column.reason.clone(),
        missing: column.missing,
        distinct: Some(column.distinct).filter(|_| column.column_type != ColumnType::Image),
        prepared: None,
    }
}

fn table(plan: &Plan, raw: &Raw, typed: &Typed, warnings: &mut Vec<String>) -> Result<(Table, Option<Vec<u64>>)> {
    let place = |row: usize| raw.place(row);
    let conformed = conform(&raw.columns, &typed.schema, &typed.notation, &place, Wanted::All)?;
    let mut table = Table::new(typed.schema.clone(), conformed.columns)?;
    let mut kept: Option<Vec<u64>> = None;
    let mut keep = |table: &mut Table, rows: Vec<u64>, why: &str| -> Result<()> {
        let lost = Dataset::len(table) - rows.len() as u64;
        if lost > 0 {
            warnings.push(format!("{} of {} left out: {why}", counted(lost), raw.name));
            *table = Table::new(table.schema().clone(), table.columns().take(&rows))?;
            kept = Some(rows.iter().map(|&row| kept.as_ref().map_or(row, |kept| kept[row as usize])).collect());
        }
        Ok(())
    };
    check_weights(&typed.schema, table.columns(), &place)?;
    let rows = with_target(plan, &table, &place)?;
    keep(&mut table, rows, "no target (missing_target=drop)")?;
    if plan.drops_duplicates {
        let rows = split::distinct_rows(&table)?;
        keep(&mut table, rows, "repeats of earlier rows (duplicates=drop)")?;
    }
    Ok((table, kept))
}

/// The test rows that neither the training file nor an earlier test row has, when repeats are to be dropped.
fn without_repeats(plan: &Plan, table: &Table, test: Table, origin: Provenance, warnings: &mut Vec<String>) -> Result<(Table, Provenance)> {
    let rows = if plan.drops_duplicates { split::distinct_beside(table, &test)? } else { (0..Dataset::len(&test)).collect() };
    let lost = Dataset::len(&test) - rows.len() as u64;
    if lost == 0 {
        return Ok((test, origin));
    }
    warnings.push(format!("{} of the test file left out: repeats of rows of the data (duplicates=drop)", counted(lost)));
    let kept = rows.iter().map(|&row| origin.kept.as_ref().map_or(row, |kept| kept[row as usize])).collect();
    let test = Table::new(test.schema().clone(), test.columns().take(&rows))?;
    Ok((test, Provenance { kept: Some(kept), ..origin }))
}

fn test_table(
    plan: &Plan,
    input: &Input,
    typed: &Typed,
    making: &mut Making,
    files: &mut Vec<DataFile>,
    warnings: &mut Vec<String>,
) -> Result<(Table, Provenance)> {
    let is_number = |field: &Field| field.kind == Kind::Number && field.role != Role::Ignored;
    let texts = typed.schema.fields.iter().filter(|field| !is_number(field)).map(|field| &*field.name).collect();
    let raw = read_numbers(input, &plan.read, &texts)?;
    let are_paths = |name: &&str| raw.columns.array(name).is_ok_and(|array| array.as_string_opt::<i32>().is_some());
    let images = typed.schema.inputs().filter(|field| matches!(field.kind, Kind::Image { .. })).map(|field| &*field.name);
    let names: Vec<String> = images.filter(are_paths).map(str::to_owned).collect();
    let mut raw = with_pictures(plan, input, raw, &names)?;
    warnings.extend(raw.warnings.iter().cloned());
    files.push(data_file(&raw, "test"));
    raw.columns = making.remake(&raw.columns, &typed.notation, &|row| raw.place(row))?;
    if let (Some(TestRows::Given), Some(column)) = (typed.split.laid_out, &typed.split.key) {
        // The column was made for the training files; in a test file every row measures.
        let sides = StringArray::from(vec!["test"; raw.columns.rows()]);
        raw.columns.insert(column.as_str().into(), Column::Array(Arc::new(sides)));
    }
    let (table, kept) = table(&Plan { drops_duplicates: false, ..plan.clone() }, &raw, typed, warnings)?;
    Ok((table, Provenance { places: raw.places, kept }))
}

fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// The rows whose targets are all there.
fn with_target(plan: &Plan, table: &Table, place: &dyn Fn(usize) -> String) -> Result<Vec<u64>> {
    let mut rows: Vec<u64> = (0..Dataset::len(table)).collect();
    for (field, _) in table.schema().targets() {
        let array = table.columns().array(&field.name)?;
        if array.null_count() == 0 {
            continue;
        }
        if array.null_count() == array.len() {
            return Err(Error::Data(format!("target {} is missing in every row of {}", field.name, plan.train.name()), None));
        }
        if !plan.drops_missing_target {
            let first = (0..array.len()).find(|&row| array.is_null(row)).unwrap_or(0);
            let others = match array.null_count() - 1 {
                0 => String::new(),
                1 => " and in one more row".to_owned(),
                others => format!(" and in {others} more rows"),
            };
            let text = format!("{}: target {} is missing here{others}", place(first), field.name);
            return Err(Error::Data(text, Some("data.clean.missing_target=drop leaves those rows out and counts them".into())));
        }
        rows.retain(|&row| array.is_valid(row as usize));
    }
    Ok(rows)
}

/// Training rows must show at least two values of every target, and there must be test rows.
pub(crate) fn check_targets(splits: &Splits) -> Result<()> {
    let batch = splits.train().read_all()?;
    for (field, task) in splits.train().data().schema().targets() {
        let array = batch.targets.array(&field.name)?;
        if let Some(value) = only_value(array) {
            let what = if task == Task::Classify { "class" } else { "value" };
            let text =
                format!("target {}: found one {what} ({value}) in all {} training rows, wanted at least two", field.name, array.len());
            return Err(Error::Data(text, Some("is this the right column? `target=` names it".into())));
        }
    }
    if splits.test().is_empty() {
        return Err(Error::Data(
            "no test rows are left, so nothing could be measured".into(),
            Some("give more rows, a test file, or another data.split.ratio".into()),
        ));
    }
    Ok(())
}

fn only_value(array: &ArrayRef) -> Option<String> {
    if let Some(texts) = array.as_string_opt::<i32>() {
        let first = texts.iter().flatten().next().unwrap_or_default();
        return texts.iter().flatten().all(|text| text == first).then(|| first.to_owned());
    }
    let numbers = array.as_primitive_opt::<Float64Type>()?;
    let first = numbers.iter().flatten().next().unwrap_or_default();
    numbers.iter().flatten().all(|number| number == first).then(|| first.to_string())
}

/// Every weight must be a finite number that is not negative; a table without the column passes.
///
/// # Errors
/// The first weight that is not, with its place.
pub(crate) fn check_weights(schema: &Schema, columns: &Columns, place: &dyn Fn(usize) -> String) -> Result<()> {
    for field in schema.keys(Key::Weight) {
        let Some(array) = columns.get(&field.name).and_then(Column::array) else { continue };
        let numbers = array.as_primitive_opt::<Float64Type>();
        for row in 0..array.len() {
            let value = numbers.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row)).filter(|value| !value.is_nan());
            if !value.is_some_and(|value| value.is_finite() && value >= 0.0) {
                let found = value.map_or("no value".to_owned(), |value| value.to_string());
                let text = format!("{}: weight {}: found {found}, wanted a number of at least 0", place(row), field.name);
                return Err(Error::Data(text, Some("a row that is not to count has weight 0".into())));
            }
        }
    }
    Ok(())
}

/// The weights of a batch's rows, when the schema has a column for them. They were checked when the table was read.
///
/// # Errors
/// When a batch lacks the column.
pub(crate) fn weights(schema: &Schema, batch: &Batch) -> Result<Option<Vec<f64>>> {
    let Some(field) = schema.keys(Key::Weight).next() else { return Ok(None) };
    let numbers = batch.keys.array(&field.name)?.as_primitive_opt::<Float64Type>().expect("weights were read as numbers");
    Ok(Some(numbers.values().to_vec()))
}

/// Training rows of each class of a target, in the order of its classes; empty for numbers.
pub(crate) fn class_rows(train: &TrainSplit, field: &Field) -> Result<Vec<u64>> {
    let Some(classes) = field.kind.classes() else { return Ok(vec![]) };
    let batch = read_all(train.data())?;
    let array = batch.targets.array(&field.name)?;
    let Some(texts) = array.as_string_opt::<i32>() else { return Ok(vec![]) };
    let place: std::collections::HashMap<&str, usize> = classes.iter().enumerate().map(|(place, class)| (&**class, place)).collect();
    let mut counts = vec![0; classes.len()];
    for text in texts.iter().flatten() {
        if let Some(&place) = place.get(text) {
            counts[place] += 1;
        }
    }
    Ok(counts)
}

/// What `check` shows of the data.
pub struct Preview {
    /// Rows that were looked at.
    pub rows: usize,
    /// How many there are, where that is known without reading them.
    pub rows_total: Option<u64>,
    /// The targets.
    pub targets: Vec<String>,
    /// What each column was taken for.
    pub columns: Vec<ColumnSummary>,
    /// What looked odd.
    pub warnings: Vec<String>,
}

/// How many rows `check` and `init` look at.
const ROWS_PREVIEWED: usize = 20_000;
/// How many when they name pictures.
const PICTURES_PREVIEWED: usize = 64;

/// Types and roles from the head of the training file; nothing is trained.
///
/// # Errors
/// As [`load`], for the rows looked at.
pub fn preview(plan: &Plan) -> Result<Preview> {
    let stream = cupola_data::stream(&plan.train, &plan.read, ROWS_PREVIEWED)?;
    let (layout, total, warnings) = (stream.layout(), stream.total(), stream.warnings().to_vec());
    let (plan, _) = laid_out(plan, layout);
    let mut chunk = stream.sample(ROWS_PREVIEWED)?.ok_or_else(|| Error::Data(format!("{} has no rows", plan.train.name()), None))?;
    let mut columns = chunk.columns.clone();
    let targets = plan.targets.clone();
    let (plan, mut making) = making::make(plan, &mut columns, &|row| chunk.places.place(row))?;
    chunk.columns = columns;
    let plan = &*plan;
    let names = named_pictures(plan, &plan.train, &chunk.columns, layout);
    if let (Some(base), false) = (plan.train.folder(), names.is_empty()) {
        chunk.columns = with_some_pictures(&chunk, &names, &base, plan)?;
    }
    let mut typed = typed(plan, layout, &chunk.columns, &|row| chunk.places.place(row))?;
    making.tell_lists(&mut typed.columns);
    let conformed = conform(&chunk.columns, &typed.schema, &typed.notation, &|row| chunk.places.place(row), Wanted::All)?;
    if let Some(test) = &plan.test {
        let stream = cupola_data::stream(test, &plan.read, ROWS_PREVIEWED)?;
        if let Some(chunk) = stream.sample(ROWS_PREVIEWED)? {
            // A column that the training files' layout made need not be there, and pictures that are only named are not opened.
            let is_named = |name: &str| names.iter().any(|known| known == name);
            let is_wanted = |field: &&Field| Some(&*field.name) != layout.split && !is_named(&field.name);
            let fields = typed.schema.fields.iter().filter(is_wanted).cloned().collect();
            let columns = making.remake(&chunk.columns, &typed.notation, &|row| chunk.places.place(row))?;
            conform(&columns, &Schema { fields }, &typed.notation, &|row| chunk.places.place(row), Wanted::All)?;
        }
    }
    Ok(Preview { rows: conformed.columns.rows(), rows_total: total, targets, columns: typed.columns, warnings })
}

/// A chunk's columns with a few of the pictures that they name, again and again: all rows tell about the other columns.
fn with_some_pictures(chunk: &Chunk, names: &[String], base: &Path, plan: &Plan) -> Result<Columns> {
    let (rows, few) = (chunk.columns.rows() as u64, chunk.columns.rows().min(PICTURES_PREVIEWED) as u64);
    let some = Chunk { columns: chunk.columns.take(&(0..few).collect::<Vec<_>>()), places: chunk.places.clone() };
    let some = some.with_pictures(names, base, &plan.read)?.columns;
    let again: Vec<u64> = (0..rows).map(|row| row % (some.rows() as u64).max(1)).collect();
    let mut columns = chunk.columns.clone();
    for name in names {
        if let Some(images) = some.get(name) {
            columns.insert(name.as_str().into(), images.take(&again));
        }
    }
    Ok(columns)
}

/// A recipe for the plan's data, with what was guessed and why.
///
/// # Errors
/// As [`preview`].
pub fn draft(plan: &Plan) -> Result<String> {
    let mut recipe = plan.recipe.clone();
    let mut notes = BTreeMap::new();
    for (table, name) in SHOWN {
        let path: Vec<&str> = table.iter().copied().chain([*name]).collect();
        let setting = recipe::lists(table).into_iter().flatten().find(|setting| setting.name == *name).expect("the keys shown are known");
        if recipe.entry(&path).is_none() {
            recipe.set(
                path.iter().map(|&segment| segment.to_owned()).collect(),
                setting.default_value(),
                recipe::Origin::Default,
                "default",
            );
            notes.insert(path.join("."), setting.doc.to_owned());
        }
    }
    let Preview { columns, targets, .. } = preview(plan)?;
    if plan.targets.is_empty() {
        let targets = targets.into_iter().map(Value::Text).collect();
        recipe.set(vec!["target".to_owned()], Value::List(targets), recipe::Origin::Inferred, "inferred");
        notes.insert("target".to_owned(), "as the data is laid out".to_owned());
    }
    for column in columns.into_iter().filter(|column| column.reason != LAID_OUT) {
        let table = if column.role == "target" { "outputs" } else { "inputs" };
        let path = [table, &column.name, "type"];
        if recipe.entry(&path).is_none() {
            recipe.set(path.map(str::to_owned).to_vec(), Value::Text(column.kind.clone()), recipe::Origin::Inferred, "inferred");
            notes.insert(path.join("."), column.reason);
        }
    }
    Ok(recipe::write(
        &recipe,
        "A recipe for `cupola train`. Every key but target and train may be left out; `cupola schema` lists them all.",
        &notes,
    ))
}

/// The keys that a drafted recipe shows when nothing is said about them.
const SHOWN: &[(&[&str], &str)] = &[
    (&[], "seed"),
    (&[], "time"),
    (&["data", "split"], "by"),
    (&["data", "split"], "ratio"),
    (&["data", "clean"], "leaks"),
    (&["model"], "name"),
];
