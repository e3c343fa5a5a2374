//! The registry entry of a network on images.

/// A [`ModelDef`](cupola_task::ModelDef) from a name, a sentence, what images must be like, and an [`Architecture`](super::Architecture).
macro_rules! image_model {
    ($name:expr, $doc:expr, $needs:expr, $architecture:expr $(,)?) => {{
        const ARCHITECTURE: $crate::vision::Architecture = $architecture;
        cupola_task::ModelDef {
            name: $name,
            doc: $doc,
            tasks: &[cupola_task::Task::Classify, cupola_task::Task::Regress],
            settings: ARCHITECTURE.settings,
            needs: cupola_task::Needs::Images($needs),
            // Sums of f32 in another order move logits by some 1e-5 of the largest, and small probabilities by as much times the logit.
            math: cupola_task::Math::Rounded(1e-3),
            auto: &[],
            make: cupola_task::Make::Trainee(|settings, schema, place| ARCHITECTURE.make(settings, schema, place)),
            open: |parts, schema, place| ARCHITECTURE.open(parts, schema, place),
        }
    }};
}

pub(super) use image_model;
