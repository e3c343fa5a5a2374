//! Which entries stay as they are, by pattern, and from which epoch on they learn after all.

use super::settings::texts;
use crate::layout::Layout;
use cupola_task::{Error, Result, Settings, nearest};

/// Frozen entries, epoch by epoch.
#[derive(Clone, PartialEq, Debug)]
pub struct Freeze {
    /// For each entry the first epoch in which it learns; none when it never does.
    from: Vec<Option<u64>>,
}

impl Freeze {
    /// The settings `freeze` and `unfreeze` of a recipe. A pattern is a path, the beginning of a path up to a dot, or has `*` for any text.
    ///
    /// # Errors
    /// When a pattern fits no entry (with the nearest path), unfreezes what is not frozen, or has no epoch.
    pub fn open(settings: &Settings, layout: &Layout) -> Result<Freeze> {
        let mut from = vec![Some(0); layout.entries().len()];
        if layout.adapters().next().is_some() {
            // What is adapted stays; the adapters, and the last layer, learn in its place.
            let plain = layout.plain_entries().iter().enumerate();
            plain.filter(|(_, entry)| Some(entry.layer) != layout.head()).for_each(|(place, _)| from[place] = None);
        }
        for pattern in texts(settings, "freeze") {
            matching("train.freeze", pattern, layout)?.into_iter().for_each(|place| from[place] = None);
        }
        let frozen: Vec<bool> = from.iter().map(Option::is_none).collect();
        for text in texts(settings, "unfreeze") {
            let (pattern, epoch) = scheduled(text)?;
            let places: Vec<usize> = matching("train.unfreeze", pattern, layout)?.into_iter().filter(|&place| frozen[place]).collect();
            if places.is_empty() {
                return Err(Error::setting("train.unfreeze", text, "a pattern of what train.freeze freezes"));
            }
            for place in places {
                from[place] = Some(from[place].map_or(epoch, |earlier| earlier.min(epoch)));
            }
        }
        Ok(Freeze { from })
    }

    /// For each entry of the layout whether it stays as it is in an epoch, counted from 0. Running statistics are among them.
    pub fn frozen(&self, epoch: u64) -> Vec<bool> {
        self.from.iter().map(|from| from.is_none_or(|from| epoch < from)).collect()
    }
}

/// `features.*@3` is a pattern and an epoch.
fn scheduled(text: &str) -> Result<(&str, u64)> {
    let parts = text.rsplit_once('@').and_then(|(pattern, epoch)| Some((pattern, epoch.trim().parse().ok()?)));
    parts.ok_or_else(|| Error::setting("train.unfreeze", text, "PATTERN@EPOCH, for example features.*@5"))
}

/// The places of all entries that a pattern fits.
pub(crate) fn matching(key: &str, pattern: &str, layout: &Layout) -> Result<Vec<usize>> {
    let fitting = |(place, entry): (usize, &crate::layout::Entry)| fits(pattern.trim(), &entry.path).then_some(place);
    let places: Vec<usize> = layout.entries().iter().enumerate().filter_map(fitting).collect();
    if places.is_empty() {
        return Err(Error::setting(key, pattern, "a pattern of parameters that the network has").with_hint(hint(pattern, layout)));
    }
    Ok(places)
}

/// The nearest path, or beginning of one; when none is near, all first segments.
fn hint(pattern: &str, layout: &Layout) -> String {
    let bare = pattern.trim_end_matches('*').trim_end_matches('.');
    let beginnings = layout.entries().iter().flat_map(|entry| {
        let dots = entry.path.match_indices('.').map(|(dot, _)| &entry.path[..dot]);
        dots.chain([entry.path.as_str()])
    });
    if let Some(near) = nearest(bare, beginnings) {
        return format!("did you mean {near}?");
    }
    let mut segments: Vec<&str> = layout.entries().iter().filter_map(|entry| entry.path.split('.').next()).collect();
    segments.dedup();
    segments.truncate(12);
    format!("its parameters begin with {}", segments.join(", "))
}

/// Whether a path, or a beginning of it that a dot ends, is what the pattern says; `*` stands for any text.
fn fits(pattern: &str, path: &str) -> bool {
    let dots = path.match_indices('.').map(|(dot, _)| &path[..dot]);
    dots.chain([path]).any(|beginning| fits_whole(pattern, beginning))
}

/// Two pointers and one place to come back to, so that time is at most the product of the lengths.
fn fits_whole(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((after, taken)) = star {
            star = Some((after, taken + 1));
            (p, t) = (after, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::super::SETTINGS;
    use super::*;
    use crate::layout::{Builder, Fill};
    use cupola_task::{Fault, Value};

    fn layout() -> Layout {
        let mut builder = Builder::default();
        for name in ["features.0", "features.1", "classifier"] {
            builder.at(name, |builder| {
                builder.param("weight", &[2], Fill::Constant(0.0));
                builder.layer("dense".into(), &[2], 0)
            });
        }
        builder.finish()
    }

    fn open(freeze: &str, unfreeze: &str) -> Result<Freeze> {
        let values = [("freeze", Value::parse(freeze)), ("unfreeze", Value::parse(unfreeze))];
        Freeze::open(&Settings::check("train", SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap(), &layout())
    }

    #[test]
    fn patterns_freeze_and_epochs_unfreeze() {
        for (freeze, unfreeze, epoch, wanted) in [
            ("[]", "[]", 0, [false, false, false]),
            ("features.*", "[]", 9, [true, true, false]),
            ("features", "[]", 0, [true, true, false]),
            ("features.1", "[]", 0, [false, true, false]),
            ("feature", "[]", 0, [false; 3]),
            ("[*]", "classifier@0", 0, [true, true, false]),
            ("[*]", "[classifier@0, features.1@2, *@5]", 1, [true, true, false]),
            ("[*]", "[classifier@0, features.1@2, *@5]", 2, [true, false, false]),
            ("[*]", "[classifier@0, features.1@2, *@5]", 5, [false, false, false]),
        ] {
            match open(freeze, unfreeze) {
                Ok(found) => assert_eq!(found.frozen(epoch), wanted, "{freeze} {unfreeze} {epoch}"),
                Err(_) => assert_eq!(freeze, "feature"),
            }
        }
    }

    #[test]
    fn what_fits_nothing_is_told_with_the_nearest() {
        for (freeze, unfreeze, text, hint) in [
            (
                "fetures.*",
                "[]",
                "setting train.freeze: found fetures.*, wanted a pattern of parameters that the network has",
                "did you mean features?",
            ),
            (
                "zzzzzzzz",
                "[]",
                "setting train.freeze: found zzzzzzzz, wanted a pattern of parameters that the network has",
                "its parameters begin with features, classifier",
            ),
            ("features", "classifier@1", "setting train.unfreeze: found classifier@1, wanted a pattern of what train.freeze freezes", ""),
            ("features", "features", "setting train.unfreeze: found features, wanted PATTERN@EPOCH, for example features.*@5", ""),
        ] {
            let error = open(freeze, unfreeze).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint().unwrap_or_default().as_str()), (text, hint));
        }
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b", "ab.c", false),
            ("*.bias", "fc.bias", true),
            ("a**", "a", true),
            ("", "a", false),
        ] {
            assert_eq!(fits_whole(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
