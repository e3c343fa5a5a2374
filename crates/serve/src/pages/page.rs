//! The page to try a model by hand, and the page that says how to ask it.

use crate::app::{App, ROUTES};
use crate::rows::Input;
use crate::service::Model;
use cupola_task::Kind;
use maud::{DOCTYPE, Markup, html};
use serde_json::{Value, json};

/// More classes than this are typed, with suggestions, instead of picked from a list.
const PICKED_MAX: usize = 60;
/// Suggestions offered for one column.
const SUGGESTED_MAX: usize = 500;
/// Classes named in a table.
const NAMED_MAX: usize = 12;

/// A page of that title; `style` is a link to [`STYLE`] or the thing itself.
pub(crate) fn frame(title: &str, style: Markup, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="data:,";
                (style)
            }
            body {
                (body)
                footer { "cupola " (env!("CARGO_PKG_VERSION")) }
            }
        }
    }
}

/// The style as the server's own pages take it.
pub(super) fn linked() -> Markup {
    html! { link rel="stylesheet" href="/assets/page.css"; }
}

pub(super) fn navigation(app: &App, here: &str) -> Markup {
    html! {
        nav {
            a href="/" aria-current=[(here == "/").then_some("page")] { "Try" }
            @if app.options.monitor.is_some() { a href="/monitor" aria-current=[(here == "/monitor").then_some("page")] { "Monitor" } }
            a href="/docs" aria-current=[(here == "/docs").then_some("page")] { "Docs" }
            a href="/openapi.json" { "OpenAPI" }
            a href="/metrics" { "Metrics" }
            @if app.services.len() > 1 && here != "/docs" {
                span.models { @for service in &app.services { a href={ (here) "?model=" (encode(&service.name)) } { (service.name) } } }
            }
        }
    }
}

/// What a command adds where tokens are asked for.
fn token(app: &App) -> &'static str {
    if app.gate.is_some() { " -H \"authorization: Bearer $TOKEN\"" } else { "" }
}

/// A text as part of a query or a path.
pub(super) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

pub(super) fn try_page(app: &App, model: &Model) -> Markup {
    let body = html! {
        (navigation(app, "/"))
        header {
            h1 { (model.name) }
            p.about { (about(model)) }
        }
        main {
            form #form data-path={ "/models/" (encode(&model.name)) "/predict" } autocomplete="off" {
                div.fields { @for input in &model.inputs.columns { (field(input, &model.example[&*input.name])) } }
                div.actions {
                    button type="submit" { "Predict" }
                    @if model.inputs.has_images() { span.note { "Pictures go to this server only." } }
                    @else { span.note { "Leave a field empty where the value is not known." } }
                }
            }
            section #answer aria-live="polite" { p.note { "The answer appears here." } }
        }
        script src="/assets/page.js" defer {}
    };
    frame(&format!("{}: try it", model.name), linked(), body)
}

fn about(model: &Model) -> String {
    let targets: Vec<&str> = model.artifact.raw().targets().map(|(field, _)| &*field.name).collect();
    let models: Vec<&str> = model.artifact.pipelines().iter().map(|pipeline| pipeline.model.name).collect();
    let hash = model.artifact.hash().get(..12).unwrap_or_default();
    format!("Predicts {} with {}. Model {hash}.", targets.join(" and "), models.join(" and "))
}

fn field(input: &Input, example: &Value) -> Markup {
    let text = example.as_str().map(str::to_owned).or_else(|| example.as_f64().map(|number| number.to_string())).unwrap_or_default();
    let classes = input.kind.classes();
    let id = format!("field-{}", input.name);
    html! {
        div.field {
            label for=(id) { (input.name) }
            @match (&input.kind, classes) {
                (_, Some(classes)) if classes.len() <= PICKED_MAX => {
                    select id=(id) name=(input.name) data-kind="text" {
                        option value="" { "" }
                        @for class in classes.iter() { option value=(class) selected[**class == *text] { (class) } }
                    }
                }
                (_, Some(classes)) => {
                    input id=(id) name=(input.name) data-kind="text" list={ (id) "-list" } value=(text);
                    datalist id={ (id) "-list" } { @for class in classes.iter().take(SUGGESTED_MAX) { option value=(class) {} } }
                }
                (Kind::Number, _) => { input id=(id) name=(input.name) data-kind="number" type="number" step="any" inputmode="decimal" value=(text); }
                (Kind::Image { .. }, _) => {
                    input id=(id) name=(input.name) data-kind="image" type="file" accept="image/*";
                    img.preview alt="" hidden;
                }
                (Kind::Date, _) => { input id=(id) name=(input.name) data-kind="text" placeholder="2024-12-31" value=(text); }
                _ => { textarea id=(id) name=(input.name) data-kind="text" rows="2" { (text) } }
            }
        }
    }
}

pub(super) fn docs(app: &App) -> Markup {
    let body = html! {
        (navigation(app, "/docs"))
        header { h1 { "How to ask" } p.about { "Rows in, predictions out. Every error is JSON that names column, row, what was found and what was wanted." } }
        main.text {
            @for model in app.champions() { (model_docs(app, &model)) }
            section {
                h2 { "Routes" }
                div.wide { table {
                    @for (method, path, doc) in ROUTES { tr { td { code { (method) } } td { code { (path) } } td { (doc) } } }
                } }
            }
            section {
                h2 { "Rules" }
                ul {
                    li { "Every input must be there; send " code { "null" } " where a value is not known. Targets and keys may be sent and are not looked at." }
                    li { "A category that training did not see is answered, and listed under " code { "unseen" } "." }
                    li { "At most " (app.options.max_rows) " rows and " (app.options.max_body_bytes) " bytes a request; rows are counted from 1 in errors." }
                    li { "400 malformed, 404 no such page or model, 408 body too slow, 413 too large, 415 other format, 422 a value does not fit, 429 queue full, 503 no worker free, 504 answer too late." }
                    li { "Send " code { "x-request-id" } " to find a request again; without one the server makes it. It comes back in the answer's headers and as its " code { "id" } "; of several rows the first is " code { "ID-1" } "." }
                    li { "Say later what turned out to be true: " code { "POST /feedback" } " with " code { "{\"id\": ..., \"label\": ...}" } ". Send " code { "x-key" } " to say whose rows they are, by which they can be forgotten." }
                }
            }
            section {
                h2 { "Open Inference Protocol" }
                p { "Each input column is a tensor of shape [n] or [n, 1]: numbers as FP64 (or any other number type; NaN is missing), pictures as UINT8 pixels of shape [n, height, width, channels] or as BYTES with the content of files (in JSON in base64), everything else as BYTES (an empty text is missing). "
                    code { "prediction" } " is BYTES for classes and FP64 for numbers; " code { "probability" } " is FP64 of shape [n, classes], whose classes the model's description lists. "
                    "Several targets prefix the names with the target and an underscore. Raw tensors (the binary extension) work in both directions." }
            }
        }
    };
    frame("How to ask", linked(), body)
}

fn model_docs(app: &App, model: &Model) -> Markup {
    let path = if app.services.len() == 1 { "/predict".to_owned() } else { format!("/models/{}/predict", encode(&model.name)) };
    let row = json!({"rows": [model.example]});
    let request = serde_json::to_string_pretty(&row).unwrap_or_default();
    let answered = crate::answers::Rows::new(&model.artifact, &model.sample);
    let answer = serde_json::to_string_pretty(&json!({"model": model.name, "version": model.version, "hash": model.artifact.hash(), "id": "r1", "logged": false, "predictions": answered}))
        .unwrap_or_default();
    html! {
        section {
            h2 { (model.name) }
            p { (about(model)) }
            div.wide { table {
                tr { th { "input" } th { "kind" } th { "values" } }
                @for input in &model.inputs.columns { tr { td { code { (input.name) } } td { (input.kind.word()) } td { (values(input)) } } }
            } }
            h3 { "Ask" }
            pre { code { "curl -s " (app.origin()) (path) (token(app)) " -H 'content-type: application/json' -d @- <<'END'\n" (request) "\nEND" } }
            h3 { "Answer" }
            pre { code { (answer) } }
            @if model.inputs.has_images() {
                h3 { "Pictures as files" }
                pre { code { (format!("curl -s {}{path}{}{}", app.origin(), token(app), form(model))) } }
                p.note { "A field may come several times, once a row. In JSON a picture is its file's content in base64, with or without data:image/...;base64, before it. A path or an address is never opened." }
            } @else {
                h3 { "A whole file" }
                pre { code { "curl -s " (app.origin()) (path) (token(app)) " -H 'content-type: text/csv' --data-binary @rows.csv > predictions.csv" } }
            }
        }
    }
}

/// The fields of a form as curl writes them.
fn form(model: &Model) -> String {
    let field = |input: &Input| match input.kind {
        Kind::Image { .. } => format!(" -F {}=@picture.png", input.name),
        _ => format!(" -F {}=...", input.name),
    };
    model.inputs.columns.iter().map(field).collect()
}

fn values(input: &Input) -> String {
    match input.kind.classes() {
        Some(classes) => {
            let named: Vec<&str> = classes.iter().take(NAMED_MAX).map(|class| &**class).collect();
            let more = if classes.len() > NAMED_MAX { format!(" and {} more", classes.len() - NAMED_MAX) } else { String::new() };
            format!("{}{more}", named.join(", "))
        }
        None => input.wanted().to_owned(),
    }
}
