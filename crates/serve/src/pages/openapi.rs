//! The interface as OpenAPI 3.1, with each model's own inputs.

use crate::app::App;
use crate::rows::Input;
use crate::service::Model;
use cupola_task::Kind;
use serde_json::{Map, Value, json};

/// Classes given as examples of a column.
const EXAMPLES_MAX: usize = 50;

pub(super) fn openapi(app: &App) -> Value {
    let models = app.champions();
    let mut paths = Map::new();
    paths.insert("/predict".to_owned(), json!({"post": predict(app, &models[0])}));
    for model in &models {
        paths.insert(format!("/models/{}/predict", model.name), json!({"post": predict(app, model)}));
        paths.insert(format!("/models/{}/feedback", model.name), json!({"post": feedback()}));
        paths.insert(format!("/v2/models/{}/infer", model.name), json!({"post": infer()}));
        paths.insert(format!("/v2/models/{}", model.name), get("Inputs and outputs of the model (Open Inference Protocol)."));
        paths.insert(format!("/v2/models/{}/ready", model.name), get("Whether the model may be asked."));
    }
    for (path, doc) in [
        ("/health", "Whether the server is up, and which models it serves."),
        ("/v2", "The server (Open Inference Protocol)."),
        ("/v2/health/live", "Whether the server is up."),
        ("/v2/health/ready", "Whether the server may be asked."),
    ] {
        paths.insert(path.to_owned(), get(doc));
    }
    paths.insert("/metrics".to_owned(), json!({"get": {"summary": "Measures for Prometheus.", "responses": {"200": {"description": "Text.", "content": {"text/plain": {}}}}}}));
    let rows: Map<String, Value> = models.iter().map(|model| (schema_name(model), row(model))).collect();
    let mut schemas = rows;
    schemas.insert("Error".to_owned(), error());
    json!({
        "openapi": "3.1.0",
        "info": {"title": "cupola", "version": env!("CARGO_PKG_VERSION"), "description": "Rows in, predictions out."},
        "paths": paths,
        "components": {"schemas": schemas}
    })
}

fn get(summary: &str) -> Value {
    json!({"get": {"summary": summary, "responses": {"200": {"description": "Yes.", "content": {"application/json": {}}}}}})
}

/// Component names take letters, digits, `.`, `-` and `_` only.
fn schema_name(model: &Model) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || ".-_".contains(letter) { letter } else { '_' };
    format!("Row-{}", model.name.chars().map(plain).collect::<String>())
}

fn predict(app: &App, model: &Model) -> Value {
    let reference = json!({"$ref": format!("#/components/schemas/{}", schema_name(model))});
    let rows = json!({"type": "array", "items": reference, "minItems": 1, "maxItems": app.options.max_rows});
    let body = json!({"oneOf": [{"type": "object", "required": ["rows"], "properties": {"rows": rows}}, rows, reference]});
    let example = json!({"rows": [model.example]});
    let answer = json!({
        "type": "object",
        "required": ["model", "version", "hash", "id", "logged", "predictions"],
        "properties": {
            "model": {"type": "string"},
            "version": {"type": "string"},
            "id": {"type": "string", "description": "By this the answer can be labelled later; of several rows the first is ID-1, the second ID-2."},
            "logged": {"type": "boolean", "description": "Whether the answer stands in the prediction log."},
            "hash": {"type": "string", "description": "BLAKE3 of the model file's content."},
            "predictions": {"type": "array", "items": {"type": "object"}},
            "explanations": {"type": "array", "items": {"type": "object"}, "description": "With explain=true, for each row: base, score, unit, and what each input added to the score (SHAP values). Of several targets each has its own."},
            "unseen": {"type": "array", "items": {"type": "object", "properties": {"column": {"type": "string"}, "row": {"type": "integer"}, "value": {"type": "string"}}}}
        }
    });
    let shown = json!({"model": model.name, "version": model.version, "hash": model.artifact.hash(), "id": "r1", "logged": false, "predictions": crate::answers::Rows::new(&model.artifact, &model.sample)});
    let mut responses = json!({"200": {"description": "One prediction a row.", "content": {
        "application/json": {"schema": answer, "example": shown},
        "text/csv": {}
    }}});
    for (status, doc) in [
        ("400", "Malformed."),
        ("413", "Too large."),
        ("415", "Another format."),
        ("422", "A value does not fit."),
        ("429", "The queue is full."),
        ("503", "No worker was free in time."),
        ("504", "The answer was not ready in time."),
    ] {
        responses[status] =
            json!({"description": doc, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}});
    }
    json!({
        "summary": format!("Asks {} for predictions.", model.name),
        "parameters": [{
            "name": "explain", "in": "query", "required": false, "schema": {"type": "boolean", "default": false},
            "description": format!("Whether to say what made each answer, for at most {} rows. Trees and linear models can.", app.options.explain_rows)
        }],
        "requestBody": {"required": true, "content": {
            "application/json": {"schema": body, "example": example},
            "text/csv": {"schema": {"type": "string"}},
            "multipart/form-data": {"schema": form(model)}
        }},
        "responses": responses
    })
}

/// A field for each column; files for pictures.
fn form(model: &Model) -> Value {
    let field = |input: &Input| match input.kind {
        Kind::Image { .. } => (input.name.to_string(), json!({"type": "string", "contentMediaType": "application/octet-stream"})),
        _ => (input.name.to_string(), json!({"type": "string"})),
    };
    let properties: Map<String, Value> = model.inputs.columns.iter().map(field).collect();
    json!({"type": "object", "properties": properties})
}

fn feedback() -> Value {
    let label = json!({"type": "object", "required": ["id", "label"], "properties": {
        "id": {"type": "string", "description": "The id that came with the answer."},
        "label": {"type": ["string", "number", "boolean"], "description": "What turned out to be true."},
        "target": {"type": "string", "description": "One of several targets."},
        "at": {"type": ["string", "number"], "description": "When it was true: as 2024-12-31T23:59:59Z, or seconds since 1970."}
    }});
    let several = json!({"type": "array", "items": label, "minItems": 1});
    let body = json!({"oneOf": [label, several, {"type": "object", "required": ["labels"], "properties": {"labels": several}}]});
    json!({
        "summary": "What turned out to be true of answers, by their ids; late, in any order, more than once.",
        "requestBody": {"required": true, "content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "All are kept."}, "422": {"description": "A label does not fit; none is kept."}, "503": {"description": "They cannot be kept now; none is."}}
    })
}

fn infer() -> Value {
    json!({
        "summary": "Tensors in, tensors out (Open Inference Protocol), with the binary tensor extension.",
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "required": ["inputs"]}}, "application/octet-stream": {}}},
        "responses": {"200": {"description": "Outputs.", "content": {"application/json": {}, "application/octet-stream": {}}}, "400": {"description": "Malformed, or a tensor does not fit."}}
    })
}

fn row(model: &Model) -> Value {
    let properties: Map<String, Value> = model.inputs.columns.iter().map(|input| (input.name.to_string(), column(input))).collect();
    let required: Vec<&str> = model.inputs.columns.iter().filter(|input| !input.is_optional).map(|input| &*input.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "example": model.example})
}

fn column(input: &Input) -> Value {
    match &input.kind {
        Kind::Number => json!({"type": ["number", "null"]}),
        Kind::Category { classes } => {
            let examples: Vec<&str> = classes.iter().take(EXAMPLES_MAX).map(|class| &**class).collect();
            json!({"type": ["string", "number", "boolean", "null"], "examples": examples})
        }
        Kind::Date => {
            json!({"type": ["string", "null"], "description": "A date, as 2024-12-31 or 2024-12-31T23:59:59, or written as in training."})
        }
        Kind::Image { .. } => json!({
            "type": "string", "contentEncoding": "base64", "contentMediaType": "image/*",
            "description": "The content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64, with or without data:image/...;base64, before it. A path or an address is never opened."
        }),
        _ => json!({"type": ["string", "number", "boolean", "null"]}),
    }
}

fn error() -> Value {
    let text = json!({"type": "string"});
    json!({"type": "object", "required": ["error", "request_id"], "properties": {
        "error": {"type": "object", "required": ["message"], "properties": {
            "message": text, "column": text, "row": {"type": "integer", "minimum": 1}, "found": text, "wanted": text, "hint": text
        }},
        "request_id": text
    }})
}
