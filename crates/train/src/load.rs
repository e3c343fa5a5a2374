//! Files into typed tables: reading, types, roles, and what the target must be like.

use crate::fit::read_all;
use crate::report::{ColumnSummary, DataFile};
use crate::{Error, Plan, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use cupola_data::split::{self, SplitSettings, TestRows};
use cupola_data::{ColumnType, DateFormats, Inferred, Input, Places, Raw, Wanted, conform, infer, read};
use cupola_task::{Batch, Columns, Dataset, Field, Key, Kind, Role, Schema, Splits, Table, Task, TrainSplit, nearest};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tables of a run.
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
    /// The formats of date columns.
    pub dates: DateFormats,
    origin: Origin,
    test_origin: Option<Origin>,
}

/// Where the rows of a table come from.
struct Origin {
    places: Places,
    /// The rows of the file that were kept, when not all were.
    kept: Option<Vec<u64>>,
}

impl Origin {
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
    let raw = read(&plan.train, &plan.read)?;
    let typed = typed(plan, &raw.columns, &|row| raw.place(row))?;
    let mut warnings = raw.warnings.clone();
    let mut files = vec![data_file(&raw, "data")];
    let (table, kept) = table(plan, &raw, &typed, &mut warnings)?;
    let test = plan.test.as_ref().map(|test| test_table(plan, test, &typed, &mut files, &mut warnings)).transpose()?;
    let (test, test_origin) = test.unzip();
    for file in &files {
        if file.rows_skipped > 0 {
            warnings.push(format!("{} rows of {} were left out because they could not be read (bad_rows=skip)", file.rows_skipped, file.path));
        }
    }
    let origin = Origin { places: raw.places, kept };
    Ok(Loaded { table, test, columns: typed.columns, files, warnings, dates: typed.dates, origin, test_origin })
}

fn data_file(raw: &Raw, purpose: &str) -> DataFile {
    let rows_read = raw.columns.rows() as u64;
    DataFile { path: raw.name.clone(), purpose: purpose.into(), rows_read, rows_skipped: raw.skipped.count, hash: Some(raw.hash.clone()) }
}

/// The schema of a file and how it came about.
pub(crate) struct Typed {
    pub schema: Schema,
    pub dates: DateFormats,
    pub columns: Vec<ColumnSummary>,
}

/// Types and roles of as-read columns, from the plan and from what they hold.
///
/// # Errors
/// When the plan names a column that is not there, or no target.
pub(crate) fn typed(plan: &Plan, columns: &Columns, place: &(dyn Fn(usize) -> String + Sync)) -> Result<Typed> {
    check_names(plan, columns)?;
    let targets: Vec<&str> = plan.targets.iter().map(String::as_str).collect();
    let inferred = infer(columns, &overrides(plan), &targets, place)?;
    let split = SplitSettings::open(&plan.split, if plan.test.is_some() { TestRows::Given } else { TestRows::Cut })?;
    let mut typed = Typed { schema: Schema::default(), dates: DateFormats::default(), columns: Vec::new() };
    for column in inferred {
        let role = role(plan, &split, &column)?;
        if let Some(format) = &column.date_format {
            typed.dates.0.insert(column.name.to_string(), format.clone());
        }
        typed.columns.push(summary(&column, role));
        typed.schema.fields.push(Field { name: column.name.as_str().into(), kind: column.kind, role });
    }
    if typed.schema.inputs().next().is_none() {
        return Err(Error::Data("no column is left to learn from".into(), Some("set a type: inputs.NAME.type=number".into())));
    }
    Ok(typed)
}

fn overrides(plan: &Plan) -> BTreeMap<String, ColumnType> {
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
    overrides
}

fn check_names(plan: &Plan, columns: &Columns) -> Result<()> {
    if plan.targets.is_empty() {
        let names: Vec<&str> = columns.names().collect();
        let shown = if names.len() > 12 { format!("{}, and {} more", names[..12].join(", "), names.len() - 12) } else { names.join(", ") };
        let example = names.last().copied().unwrap_or("COLUMN");
        return Err(Error::recipe("command line", format!("no target; the columns are {shown}")).with_hint(format!("say what to predict: target={example}")));
    }
    let said = |key: &'static str, names: &[String]| names.iter().map(move |name| (key, name.clone())).collect::<Vec<_>>();
    let mut named = said("target", &plan.targets);
    named.extend(said("ignore", &plan.ignore));
    named.extend(said("sensitive", &plan.sensitive));
    named.extend(plan.weight.iter().map(|name| ("weight", name.clone())));
    named.extend(plan.inputs.keys().map(|name| ("inputs", name.clone())));
    named.extend(plan.outputs.keys().map(|name| ("outputs", name.clone())));
    for (key, name) in named {
        if columns.get(&name).is_none() {
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
            let wanted = task.map_or("a number or a category".into(), |task| format!("what can be learned by task={}", crate::recipe::task_word(task)));
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
        distinct: Some(column.distinct),
    }
}

fn table(plan: &Plan, raw: &Raw, typed: &Typed, warnings: &mut Vec<String>) -> Result<(Table, Option<Vec<u64>>)> {
    let place = |row: usize| raw.place(row);
    let conformed = conform(&raw.columns, &typed.schema, &typed.dates, &place, Wanted::All)?;
    let mut table = Table::new(typed.schema.clone(), conformed.columns)?;
    let mut kept: Option<Vec<u64>> = None;
    let mut keep = |table: &mut Table, rows: Vec<u64>, why: &str| -> Result<()> {
        let lost = Dataset::len(table) - rows.len() as u64;
        if lost > 0 {
            warnings.push(format!("{lost} rows of {} were left out: {why}", raw.name));
            *table = Table::new(table.schema().clone(), table.columns().take(&rows))?;
            kept = Some(rows.iter().map(|&row| kept.as_ref().map_or(row, |kept| kept[row as usize])).collect());
        }
        Ok(())
    };
    let rows = with_target(plan, &table, &place)?;
    keep(&mut table, rows, "their target is missing (missing_target=drop)")?;
    if plan.drops_duplicates {
        let rows = split::distinct_rows(&table)?;
        keep(&mut table, rows, "they repeat an earlier row (duplicates=drop)")?;
    }
    Ok((table, kept))
}

fn test_table(plan: &Plan, input: &Input, typed: &Typed, files: &mut Vec<DataFile>, warnings: &mut Vec<String>) -> Result<(Table, Origin)> {
    let raw = read(input, &plan.read)?;
    warnings.extend(raw.warnings.iter().cloned());
    files.push(data_file(&raw, "test"));
    let (table, kept) = table(&Plan { drops_duplicates: false, ..plan.clone() }, &raw, typed, warnings)?;
    Ok((table, Origin { places: raw.places, kept }))
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
            let text = format!("{}: target {} is missing here and in {} rows in all", place(first), field.name, array.null_count());
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
            let text = format!("target {}: found one {what} ({value}) in all {} training rows, wanted at least two", field.name, array.len());
            return Err(Error::Data(text, Some("is this the right column? `target=` names it".into())));
        }
    }
    if splits.test().is_empty() {
        return Err(Error::Data("no test rows are left, so nothing could be measured".into(), Some("give more rows, a test file, or another data.split.ratio".into())));
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

/// The weights of a batch's rows, when the schema has a column for them.
///
/// # Errors
/// When a weight is missing, negative or not finite.
pub(crate) fn weights(schema: &Schema, batch: &Batch) -> Result<Option<Vec<f64>>> {
    let Some(field) = schema.keys(Key::Weight).next() else { return Ok(None) };
    let array = batch.keys.array(&field.name)?;
    let numbers = array.as_primitive_opt::<Float64Type>();
    let weight = |row: usize| {
        let value = numbers.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row));
        value.filter(|value| value.is_finite() && *value >= 0.0).ok_or_else(|| {
            let found = value.map_or("no value".to_owned(), |value| value.to_string());
            Error::Data(format!("weight {} in row {}: found {found}, wanted a finite number >= 0", field.name, batch.rows[row]), None)
        })
    };
    (0..array.len()).map(weight).collect::<Result<Vec<f64>>>().map(Some)
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
    /// The targets.
    pub targets: Vec<String>,
    /// What each column was taken for.
    pub columns: Vec<ColumnSummary>,
    /// What looked odd.
    pub warnings: Vec<String>,
}

/// How many rows `check` and `init` look at.
const ROWS_PREVIEWED: usize = 20_000;

/// Types and roles from the head of the training file; nothing is trained.
///
/// # Errors
/// As [`load`], for the rows looked at.
pub fn preview(plan: &Plan) -> Result<Preview> {
    let mut stream = cupola_data::stream(&plan.train, &plan.read, ROWS_PREVIEWED)?;
    let chunk = stream.next().transpose()?.ok_or_else(|| Error::Data(format!("{} has no rows", plan.train.name()), None))?;
    let typed = typed(plan, &chunk.columns, &|row| chunk.places.place(row))?;
    let conformed = conform(&chunk.columns, &typed.schema, &typed.dates, &|row| chunk.places.place(row), Wanted::All)?;
    if let Some(test) = &plan.test {
        let mut stream = cupola_data::stream(test, &plan.read, ROWS_PREVIEWED)?;
        if let Some(chunk) = stream.next().transpose()? {
            conform(&chunk.columns, &typed.schema, &typed.dates, &|row| chunk.places.place(row), Wanted::All)?;
        }
    }
    Ok(Preview { rows: conformed.columns.rows(), targets: plan.targets.clone(), columns: typed.columns, warnings: stream.warnings().to_vec() })
}

/// A recipe for the plan's data, with what was guessed and why.
///
/// # Errors
/// As [`preview`].
pub fn draft(plan: &Plan) -> Result<String> {
    let preview = preview(plan)?;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let list = |names: &[String]| format!("[{}]", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", "));
    let mut lines = vec![
        "# A recipe for `cupola train`. Every key may be left out; `cupola schema` lists them all.".to_owned(),
        format!("target = {}", list(&plan.targets)),
        "# time = \"60s\"            # the limit for model = auto".to_owned(),
        format!("seed = {}", plan.seed),
        String::new(),
        "[data]".to_owned(),
        format!("train = {}", quoted(&plan.train.name())),
    ];
    match &plan.test {
        Some(test) => lines.push(format!("test = {}", quoted(&test.name()))),
        None => lines.push("# test = \"...\"            # a file of its own instead of rows of this one".to_owned()),
    }
    lines.extend(["", "[data.split]", "by = \"auto\"              # random, stratified, group, time, hash, column", "ratio = [0.8, 0.1, 0.1]", "", "[data.clean]"].map(str::to_owned));
    lines.push("leaks = \"deny\"           # or warn, off".to_owned());
    lines.extend([String::new(), "[model]".to_owned(), "name = \"auto\"            # `cupola models` lists them".to_owned()]);
    for column in &preview.columns {
        let table = if column.role == "target" { "outputs" } else { "inputs" };
        let path = recipe_key(&column.name);
        lines.push(format!("\n[{table}.{path}]\ntype = {}  # {}", quoted(&column.kind), column.reason.replace('\n', " ")));
    }
    Ok(lines.join("\n") + "\n")
}

fn recipe_key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { name.to_owned() } else { toml::Value::String(name.to_owned()).to_string() }
}

/// The formats of date columns as a model file keeps them.
pub(crate) fn date_formats(dates: &DateFormats) -> BTreeMap<Arc<str>, String> {
    dates.0.iter().map(|(name, format)| (name.as_str().into(), format.clone())).collect()
}
