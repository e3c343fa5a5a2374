//! Opens weights that torchvision's networks were saved with, by name, and compares answers to two images of 224x224 with its own.
//!
//! ```text
//! python parity/torchvision.py dump DIR resnet152 vgg19
//! cargo run --release -p cupola-nets --example torchvision -- DIR resnet152 vgg19
//! ```
#![expect(clippy::print_stdout, reason = "this is a program to look at")]

use cupola_nets::{MODELS, trainee, weights};
use cupola_task::{Answer, Ask, Column, Columns, Error, Field, Images, Kind, Make, Result, Role, Schema, Settings, Task, Value, Where};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const CLASSES: usize = 1000;
const SHAPE: [u32; 3] = [224, 224, 3];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((folder, names)) = arguments.split_first() else {
        return Err(Error::input("command line", "nothing", "a folder and names of networks"));
    };
    names.iter().try_for_each(|name| compare(Path::new(folder), name))
}

fn compare(folder: &Path, name: &str) -> Result<()> {
    let def = MODELS.iter().find(|model| model.name == name).ok_or_else(|| Error::input(name, "no such network", "a name of MODELS"))?;
    let Make::Trainee(make) = def.make else { return Err(Error::input(name, "no network", "a network")) };
    let plain = Value::Text("none".into());
    let net = trainee(make(&Settings::check("model", def.settings, [("normalize", &plain)])?, &schema(), Where::Cpu)?);
    let place = format!("{name}.safetensors");
    let arena = weights::from_safetensors(&place, &read(&folder.join(&place))?, net.layout())?;
    let images = Images::packed(read(&folder.join("pixels"))?, [SHAPE; 2]);
    let start = Instant::now();
    let found = net.freeze(arena).predict(&Columns::new(vec![("image".into(), Column::Images(images))]), &Ask::default())?;
    let seconds = start.elapsed().as_secs_f64();
    let wanted: Vec<f64> = serde_json::from_slice(&read(&folder.join(format!("{name}.json")))?)
        .map_err(|error| Error::input(format!("{name}.json"), error, "a list of numbers"))?;
    let Some((_, Answer::Scores { values, .. })) = found.0.first() else { return Err(Error::input(name, "no scores", "scores")) };
    let largest = wanted.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let apart = values.iter().zip(&wanted).map(|(found, wanted)| (found.ln() - wanted).abs()).fold(0.0, f64::max) / largest;
    println!("{name}: log-probabilities are {apart:.1e} apart, relative to the largest; two images took {seconds:.2} s");
    Ok(())
}

fn schema() -> Schema {
    let classes = (0..CLASSES).map(|class| Arc::from(class.to_string())).collect();
    let image = Kind::Image { channels: SHAPE[2] as u8, size: Some([SHAPE[0], SHAPE[1]]) };
    Schema {
        fields: vec![
            Field { name: "image".into(), kind: image, role: Role::Input },
            Field { name: "label".into(), kind: Kind::Category { classes }, role: Role::Target(Task::Classify) },
        ],
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Error::io(format!("read {}", path.display()), error))
}
