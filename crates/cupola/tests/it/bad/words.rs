//! Recipes and command lines.

use crate::desk::{Desk, good};
use expect_test::expect;

#[test]
fn recipes() {
    let desk = Desk::new();
    desk.put("good.csv", good(100));
    let head = "target = 'c'\n[data]\ntrain = 'good.csv'\n";
    for (name, text) in [
        ("toml.toml", "target = 'c\n".to_owned()),
        ("key.toml", format!("targe = 'c'\n{head}")),
        ("table.toml", format!("{head}[modle]\nname = 'gbdt'\n")),
        ("type.toml", format!("{head}[model]\nname = 'gbdt'\nnum_leaves = 'many'\n")),
        ("range.toml", format!("{head}[model]\nname = 'gbdt'\nlearning_rate = -1\n")),
        ("setting.toml", format!("{head}[model]\nname = 'gbdt'\nnum_leafs = 3\n")),
        ("twice.toml", format!("seed = 1\nrandom_state = 2\n{head}")),
        ("gate.toml", format!("{head}[gates]\nf1 = 'good'\n")),
        ("column.toml", format!("{head}[inputs.aa]\ntype = 'number'\n")),
        ("bytes.toml", "target = '\u{0}'".to_owned()),
    ] {
        desk.put(name, text);
    }
    desk.put("latin.toml", b"target = '\xe9'\n");
    desk.refuses(
        &[
            "check toml.toml",
            "check key.toml",
            "check table.toml",
            "check type.toml",
            "check range.toml",
            "check setting.toml",
            "check twice.toml",
            "check gate.toml",
            "check column.toml",
            "check bytes.toml",
            "check latin.toml",
            "train ranges.toml",
            "train nothing.toml",
            "train good.csv target=c model=gdbt",
            "train good.csv target=c model=deepspeech",
            "train good.csv target=c metrics=roc_auk",
            "train good.csv target=c num_leaves=3",
            "train good.csv target=c model.num_leaves=3",
            "train good.csv target=c seed=-1",
            "train good.csv target=c time=soon",
            "train good.csv target=c name=../up",
            "train good.csv target=c inputs.a.b.type=id",
            "train good.csv target=c device=cuda",
        ],
        expect![[r#"
            $ check toml.toml
            error: failed to read the recipe: toml.toml:1: not valid TOML: invalid literal string, expected `'`
            = 2
            $ check key.toml
            error: failed to check the recipe: key.toml:1: unknown key targe
            hint: did you mean target?
            = 2
            $ check table.toml
            error: failed to check the recipe: table.toml:5: unknown key modle.name
            hint: did you mean model.name?
            = 2
            $ check type.toml
            error: failed to check the recipe: type.toml:6: model.num_leaves: found "many", wanted a whole number in 2..131072
            hint: the default is 31
            = 2
            $ check range.toml
            error: failed to check the recipe: range.toml:6: model.learning_rate: found -1, wanted a number in 1e-6..10
            hint: the default is 0.1
            = 2
            $ check setting.toml
            error: failed to check the recipe: setting.toml:6: unknown key model.num_leafs
            hint: did you mean num_leaves?
            = 2
            $ check twice.toml
            error: failed to read the recipe: twice.toml:2: seed is said twice, first at twice.toml:1 under another name
            = 2
            $ check gate.toml
            error: failed to check the recipe: gate.toml:5: gates.f1: found "good", wanted ">= NUMBER" or "<= NUMBER"
            = 2
            $ check column.toml
            error: failed to check the data: good.csv: inputs names column aa, which is not there
            hint: did you mean a?
            = 2
            $ check bytes.toml
            error: failed to read the recipe: bytes.toml:1: not valid TOML: invalid literal string, expected non-single-quote visible characters
            = 2
            $ check latin.toml
            error: failed to read the recipe: latin.toml: found bytes that are not UTF-8, wanted a recipe in TOML
            = 2
            $ train ranges.toml
            error: failed to read the recipe: ranges.toml: found no such file, wanted a recipe
            hint: did you mean range.toml?
            = 2
            $ train nothing.toml
            error: failed to read the recipe: nothing.toml: found no such file, wanted a recipe
            hint: did you mean setting.toml?
            = 2
            $ train good.csv target=c model=gdbt
            error: failed to check the recipe: command line: unknown model gdbt
            hint: did you mean gbdt?
            = 2
            $ train good.csv target=c model=deepspeech
            error: failed to check the recipe: command line: unknown model deepspeech
            hint: `cupola models` lists them; a model file may need the cupola that wrote it, or a newer one
            = 2
            $ train good.csv target=c metrics=roc_auk
            error: failed to check the recipe: command line: unknown metric roc_auk
            hint: did you mean roc_auc?
            = 2
            $ train good.csv target=c num_leaves=3
            error: failed to check the recipe: command line: unknown key num_leaves
            hint: num_leaves is a setting of model gbdt: write model.num_leaves
            = 2
            $ train good.csv target=c model.num_leaves=3
            error: failed to check the recipe: command line: model.num_leaves says how, but not which model
            hint: name one: model=gbdt
            = 2
            $ train good.csv target=c seed=-1
            error: failed to check the recipe: command line: seed: found -1, wanted a whole number >= 0
            hint: the default is 7
            = 2
            $ train good.csv target=c time=soon
            error: failed to check the recipe: command line: time: found "soon", wanted seconds, or a number with s, m, h or d
            = 2
            $ train good.csv target=c name=../up
            error: failed to check the recipe: command line: name: found "../up", wanted letters, digits, - _ . and at most 100 of them
            = 2
            $ train good.csv target=c inputs.a.b.type=id
            error: failed to check the recipe: command line: unknown key inputs.a.b.type
            hint: a column's name that holds dots stands in quotes: inputs."a.b".type
            = 2
            $ train good.csv target=c device=cuda
            error: failed to check the recipe: command line: device: found "cuda", wanted auto|cpu|gpu
            hint: the default is "auto"
            = 2
        "#]],
    );
}

#[test]
fn command_lines() {
    let desk = Desk::new();
    desk.put("good.csv", good(100));
    desk.put("cupola.toml", "target = 'c'\n");
    desk.refuses(
        &[
            "trian good.csv",
            "train",
            "train target=y",
            "train good.csv target=y --frobnicate",
            "train good.csv target=y -z",
            "train good.csv other.csv target=y",
            "predict",
            "predict nothere good.csv",
            "verify nothere.cupola",
            "eval runs/latest good.csv",
            "runs show 7",
            "runs rm 7",
            "models gdbt",
            "completions tcsh",
            "init good.csv",
            "init good.csv target=c",
            "serve",
            "serve http=127.0.0.1:0",
            "serve nothere",
        ],
        expect![[r#"
            $ trian good.csv
            error: unrecognized subcommand 'trian'
              tip: some similar subcommands exist: 'retrain', 'train'
            Usage: cupola [OPTIONS] <COMMAND>
            For more information, try '--help'.
            = 2
            $ train
            error: failed to check the recipe: command line: no data
            hint: cupola train DATA target=COLUMN, or [data] train = "..." in a recipe
            = 2
            $ train target=y
            error: failed to check the recipe: command line: no data
            hint: cupola train DATA target=COLUMN, or [data] train = "..." in a recipe
            = 2
            $ train good.csv target=y --frobnicate
            error: failed to check the recipe: command line: unknown key frobnicate
            hint: `cupola schema` lists every key
            = 2
            $ train good.csv target=y -z
            error: unexpected argument '-z' found
              tip: to pass '-z' as a value, use '-- -z'
            Usage: cupola train [OPTIONS] [DATA|RECIPE|KEY=VALUE]...
            For more information, try '--help'.
            = 2
            $ train good.csv other.csv target=y
            error: failed to train: other.csv: found no such file, wanted a file
            = 3
            $ predict
            error: the following required arguments were not provided:
              <MODEL>
              <DATA|KEY=VALUE>...
            Usage: cupola predict <MODEL> <DATA|KEY=VALUE>...
            For more information, try '--help'.
            = 2
            $ predict nothere good.csv
            error: failed to find the model: no model file or run nothere
            hint: `cupola runs ls` lists runs; a model file ends in .cupola
            = 1
            $ verify nothere.cupola
            error: failed to find the model: no model file or run nothere.cupola
            hint: `cupola runs ls` lists runs; a model file ends in .cupola
            = 1
            $ eval runs/latest good.csv
            error: failed to find the model: no model file or run runs/latest
            hint: `cupola runs ls` lists runs; a model file ends in .cupola
            = 1
            $ runs show 7
            error: failed to show the run: no run 7 in runs
            hint: `cupola runs ls` lists them
            = 1
            $ runs rm 7
            error: failed to remove the run: no run 7 in runs
            hint: `cupola runs ls` lists them
            = 1
            $ models gdbt
            error: models: unknown model gdbt
            hint: did you mean gbdt?
            = 2
            $ completions tcsh
            error: invalid value 'tcsh' for '<SHELL>'
              [possible values: bash, elvish, fish, powershell, zsh]
              tip: a similar value exists: 'zsh'
            For more information, try '--help'.
            = 2
            $ init good.csv
            error: failed to write a recipe from the data: command line: no target; the columns are a, b, c, y
            hint: say what to predict: target=y
            = 2
            $ init good.csv target=c
            error: failed to write the recipe: cupola.toml: is there already
            hint: pass --force to replace it, or -o another name
            = 2
            $ serve
            error: the following required arguments were not provided:
              <MODEL|KEY=VALUE>...
            Usage: cupola serve <MODEL|KEY=VALUE>...
            For more information, try '--help'.
            = 2
            $ serve http=127.0.0.1:0
            error: command line: no model to serve
            hint: cupola serve runs/latest
            = 2
            $ serve nothere
            error: failed to find the model: no model file or run nothere
            hint: `cupola runs ls` lists runs; a model file ends in .cupola
            = 1
        "#]],
    );
}

#[test]
fn errors_for_machines_are_json() {
    let desk = Desk::new();
    for arguments in [&["train", "nothere.csv", "target=y", "--json"][..], &["trian", "--json"], &["runs", "show", "7", "--json"]] {
        let ran = desk.run(arguments);
        let told: serde_json::Value = serde_json::from_str(ran.stdout.lines().last().unwrap_or_default())
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}{}", ran.stdout, ran.stderr));
        assert_eq!((told["event"].as_str(), told["exit"].as_i64()), (Some("error"), ran.code.map(i64::from)), "{arguments:?}");
    }
}
