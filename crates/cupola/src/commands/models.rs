//! `cupola models`: the registry of models, and the settings of one.

use super::aligned;
use crate::screen::Screen;
use anyhow::Result;
use cupola_task::{ModelDef, Setting};
use cupola_train::recipe::task_word;
use serde_json::json;
use std::process::ExitCode;

pub fn run(name: Option<&str>, screen: &Screen) -> Result<ExitCode> {
    match name {
        Some(name) => one(cupola_train::model(name)?, screen),
        None => all(screen),
    }
    Ok(ExitCode::SUCCESS)
}

fn tasks(model: &ModelDef) -> String {
    model.tasks.iter().map(|task| task_word(*task)).collect::<Vec<_>>().join(", ")
}

fn all(screen: &Screen) {
    for model in cupola_train::models() {
        screen.object(&json!({ "name": model.name, "doc": model.doc, "tasks": model.tasks, "settings": model.settings.iter().map(setting).collect::<Vec<_>>() }));
    }
    let rows: Vec<Vec<String>> = cupola_train::models().map(|model| vec![model.name.into(), tasks(model), model.doc.into()]).collect();
    screen.text(&aligned(&["model", "task", "what it is"], &rows));
    screen.note("\n`cupola models NAME` shows a model's settings; model=auto chooses among them");
}

fn one(model: &ModelDef, screen: &Screen) {
    for each in model.settings {
        screen.object(&setting(each));
    }
    screen.text(&format!("{}: {} ({})\n", model.name, model.doc, tasks(model)));
    let rows: Vec<Vec<String>> =
        model.settings.iter().map(|each| vec![each.name.into(), each.default.into(), each.range.to_string(), said(each)]).collect();
    screen.text(&aligned(&["setting", "default", "takes", "what it does"], &rows));
}

fn said(setting: &Setting) -> String {
    match setting.alias.is_empty() {
        true => setting.doc.to_owned(),
        false => format!("{} (also {})", setting.doc, setting.alias.join(", ")),
    }
}

fn setting(setting: &Setting) -> serde_json::Value {
    json!({ "name": setting.name, "alias": setting.alias, "default": setting.default_value(), "takes": setting.range.to_string(), "doc": setting.doc })
}
