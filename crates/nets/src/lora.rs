//! Low-rank adaptation: a weight stays as it is, and `scale * b a` is learned and added to it, with few numbers in `a` and `b`.
//!
//! Source: Hu et al., "LoRA: low-rank adaptation of large language models", 2021, section 4.1. A kernel counts as a matrix with one row for
//! each output channel, as in PEFT. The trained model holds the sums, so it is a plain network and no slower.

use crate::layout::{Layout, Param};
use crate::optim::{matching, texts};
use cupola_task::{Error, Result, Settings};
use std::collections::BTreeSet;

/// A network's layout with what the settings say about LoRA.
pub(crate) fn adapted(layout: &Layout, settings: &Settings) -> Result<Layout> {
    let mut adapted = layout.clone();
    let rank = settings.integer("lora_rank") as usize;
    if rank == 0 {
        return Ok(adapted);
    }
    let scale = settings.real("lora_alpha") / rank as f64;
    for place in targets(layout, settings)? {
        adapted.adapt(Param(place), rank, scale);
    }
    Ok(adapted)
}

/// Places of the matrices and kernels below the last layer that a pattern fits.
fn targets(layout: &Layout, settings: &Settings) -> Result<BTreeSet<usize>> {
    let mut targets = BTreeSet::new();
    for pattern in texts(settings, "lora_targets") {
        let can_be = |place: &usize| {
            let entry = &layout.entries()[*place];
            entry.decays && entry.shape.len() > 1 && Some(entry.layer) != layout.head()
        };
        let places: Vec<usize> = matching("train.lora_targets", pattern, layout)?.into_iter().filter(can_be).collect();
        if places.is_empty() {
            return Err(Error::setting("train.lora_targets", pattern, "a pattern of matrices or kernels below the last layer"));
        }
        targets.extend(places);
    }
    Ok(targets)
}

/// The plain network's arena: adapters are added to what they adapt.
pub(crate) fn merged(layout: &Layout, mut arena: Vec<f32>) -> Vec<f32> {
    for (param, adapter) in layout.adapters() {
        let (a, b) = (layout.of(adapter.a), layout.of(adapter.b));
        let (rank, columns) = (a.shape[0], a.shape[1]);
        let sums: Vec<f32> = arena[b.range()]
            .chunks_exact(rank)
            .flat_map(|b| (0..columns).map(|column| product(b, &arena[a.range()], column, columns) * adapter.scale as f32))
            .collect();
        arena[layout.of(param).range()].iter_mut().zip(sums).for_each(|(weight, sum)| *weight += sum);
    }
    arena.truncate(layout.plain_entries().iter().map(|entry| entry.len()).sum());
    arena
}

/// A row of `b` times a column of `a`.
fn product(b: &[f32], a: &[f32], column: usize, columns: usize) -> f32 {
    b.iter().enumerate().map(|(k, b)| b * a[k * columns + column]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Builder, Fill};
    use crate::optim::{Freeze, SETTINGS};
    use crate::pass::{Bound, Mode, Pass};
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Tensor, TensorData, module};
    use cupola_task::{Draw, Value};

    fn settings(given: &[(&str, &str)]) -> Settings {
        let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
        Settings::check("train", SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap()
    }

    /// A convolution and two dense layers.
    fn layout() -> (Layout, [Param; 3]) {
        let mut builder = Builder::default();
        let params = [("conv", &[3, 2, 2, 2][..]), ("fc1", &[4, 12]), ("fc2", &[2, 4])].map(|(name, shape)| {
            builder.at(name, |builder| {
                let weight = builder.param("weight", shape, Fill::Normal(0.5));
                builder.layer("layer".into(), &shape[..1], 0);
                weight
            })
        });
        (builder.finish(), params)
    }

    fn normals(name: &str, count: usize) -> Vec<f32> {
        (0..count as u64).map(|place| Draw::new(1).stream(name).normal(place) as f32).collect()
    }

    /// Two rows of answers, `[2, 2]`.
    fn forward(pass: &Pass<'_>, [conv, fc1, fc2]: [Param; 3]) -> Tensor<2> {
        let x = Tensor::<4>::from_data(TensorData::new(normals("x", 36), [2, 2, 3, 3]), pass.device());
        let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        let x = module::conv2d(x, pass.get::<4>(conv), None, options).tanh().reshape([2, 12]);
        x.matmul(pass.get::<2>(fc1).transpose()).tanh().matmul(pass.get::<2>(fc2).transpose())
    }

    fn answers(layout: &Layout, params: [Param; 3], arena: &[f32]) -> Vec<f32> {
        let device = Device::flex();
        let bound = Bound::new(layout, arena.to_vec().into());
        forward(&Pass::new(layout, &bound, &device, Mode::Answering), params).into_data().try_into_vec().unwrap()
    }

    /// An adapted layout, with weights that are not those of the beginning.
    fn adapted_with_arena() -> (Layout, [Param; 3], Vec<f32>) {
        let (layout, params) = layout();
        let adapted = adapted(&layout, &settings(&[("lora_rank", "2"), ("lora_alpha", "3")])).unwrap();
        let arena = normals("arena", adapted.len()).into_iter().map(|value| 0.3 * value).collect();
        (adapted, params, arena)
    }

    #[test]
    fn adapters_come_after_the_network_and_begin_without_effect() {
        let (layout, params) = layout();
        let adapted = adapted(&layout, &settings(&[("lora_rank", "2")])).unwrap();
        let paths: Vec<&str> = adapted.entries()[3..].iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["conv.weight.lora_a", "conv.weight.lora_b", "fc1.weight.lora_a", "fc1.weight.lora_b"]);
        let arena = adapted.initial(Draw::new(1));
        assert_eq!(arena[..layout.len()], layout.initial(Draw::new(1)));
        assert_eq!(answers(&adapted, params, &arena), answers(&layout, params, &arena[..layout.len()]));
        let frozen = Freeze::open(&settings(&[("lora_rank", "2")]), &adapted).unwrap().frozen(0);
        assert_eq!(frozen, [true, true, false, false, false, false, false]);
    }

    #[test]
    fn merged_weights_answer_as_adapters_do() {
        let (adapted, params, arena) = adapted_with_arena();
        let apart = answers(&adapted, params, &arena);
        let together = answers(&layout().0, params, &merged(&adapted, arena));
        assert!(apart.iter().zip(&together).all(|(a, b)| (a - b).abs() < 1e-6), "{apart:?} {together:?}");
    }

    #[test]
    fn gradients_of_adapters_are_those_of_finite_differences() {
        let (adapted, params, arena) = adapted_with_arena();
        let frozen = [true, true, true, false, false, false, false];
        let device = Device::flex().autodiff();
        let bound = Bound::learning(&adapted, &arena, &device, &frozen);
        let pass = Pass::new(&adapted, &bound, &device, Mode::Training { draw: Draw::new(1), frozen: &frozen });
        let found = forward(&pass, params).sum().backward();
        assert!(bound.learned(0).grad(&found).is_none(), "what is adapted stays");
        let sum = |arena: &[f32]| answers(&adapted, params, arena).iter().map(|&value| f64::from(value)).sum::<f64>();
        for place in 3..7 {
            let entry = &adapted.entries()[place];
            let gradient: Vec<f32> = bound.learned(place).grad(&found).unwrap().into_data().try_into_vec().unwrap();
            for (at, gradient) in entry.range().zip(gradient) {
                let moved = |by: f32| {
                    let mut arena = arena.clone();
                    arena[at] += by;
                    sum(&arena)
                };
                let wanted = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                // Rounding of the sum, 1e-7, over the distance; and a third of the third derivative times the distance squared.
                assert!((f64::from(gradient) - wanted).abs() < 1e-3, "{} {gradient} {wanted}", entry.path);
            }
        }
    }

    #[test]
    fn what_cannot_be_adapted_is_told() {
        let (layout, _) = layout();
        for (targets, wanted) in
            [("fc2", "a pattern of matrices or kernels below the last layer"), ("fc9", "a pattern of parameters that the network has")]
        {
            let error = adapted(&layout, &settings(&[("lora_rank", "1"), ("lora_targets", targets)])).unwrap_err();
            assert_eq!(error.to_string(), format!("setting train.lora_targets: found {targets}, wanted {wanted}"));
        }
    }
}
