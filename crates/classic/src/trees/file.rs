//! An ensemble as bytes: `model/trees`, little-endian, versioned. What is read is checked in full before it can answer, for
//! the bytes may be hostile: counts are bounded by the bytes that are there, children come after their parents (so that no walk goes
//! in circles), and every number that indexes something is in range.
//!
//! Version 2 ends with the covers of the leaves, which explanations need; version 1 has none, and is still written for trees without.

use super::bins::{BinSet, CELLS};
use super::ensemble::{CATEGORY, Ensemble, FEATURE, Input, LEAF, Link, MISSING_LEFT, Node};
use crate::bytes::{Reader, Writer, part};
use cupola_task::{Error, Result};

const MARK: [u8; 4] = *b"CUTR";
const VERSION: u16 = 2;
const LINKS: [Link; 6] = [Link::Sum, Link::Logistic, Link::Softmax, Link::Mean, Link::Share, Link::Shares];
const NODE_BYTES: usize = 16;

impl Ensemble {
    /// The bytes that [`Ensemble::from_bytes`] reads.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new(MARK, if self.covers.is_some() { VERSION } else { 1 });
        writer.0.reserve(self.nodes.len() * NODE_BYTES + 1024);
        writer.byte(LINKS.iter().position(|&link| link == self.link).expect("every link is listed") as u8);
        writer.reals(&self.start);
        writer.count(self.inputs.len());
        for input in &self.inputs {
            match input {
                Input::Number => writer.byte(0),
                Input::Category { bin_of, other } => {
                    writer.byte(1);
                    writer.byte(*other);
                    writer.count(bin_of.len());
                    writer.0.extend_from_slice(bin_of);
                }
            }
        }
        writer.count(self.sets.len());
        self.sets.iter().flat_map(|set| set.0).for_each(|word| writer.0.extend_from_slice(&word.to_le_bytes()));
        writer.reals(&self.vectors);
        writer.count(self.nodes.len());
        writer.wholes(&self.roots);
        for node in &self.nodes {
            writer.real(node.threshold);
            writer.whole(node.ask);
            writer.whole(node.left);
        }
        if let Some(covers) = &self.covers {
            writer.count(covers.len());
            covers.iter().for_each(|cover| writer.0.extend_from_slice(&cover.to_le_bytes()));
        }
        writer.0
    }

    /// Reads and checks an ensemble.
    ///
    /// # Errors
    /// When the bytes are not a whole, consistent ensemble of this version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Ensemble> {
        let (mut reader, version) = Reader::open("model/trees", bytes, MARK, VERSION)?;
        let link = usize::from(reader.byte("the link")?);
        let link = *LINKS.get(link).ok_or_else(|| reader.wrong(format!("link {link}"), format!("one below {}", LINKS.len())))?;
        let start = reader.reals("start values")?;
        let inputs = inputs(&mut reader)?;
        let sets =
            reader.many(32, "category sets", |bytes| BinSet(std::array::from_fn(|word| u64::from_le_bytes(part(bytes, word * 8)))))?;
        let vectors = reader.reals("leaf vectors")?;
        let nodes = reader.count(NODE_BYTES, "nodes")?;
        let roots = reader.wholes("trees")?;
        let nodes = reader.items(nodes, NODE_BYTES, "nodes", |bytes| Node {
            threshold: f64::from_bits(u64::from_le_bytes(part(bytes, 0))),
            ask: u32::from_le_bytes(part(bytes, 8)),
            left: u32::from_le_bytes(part(bytes, 12)),
        })?;
        let covers = match version {
            1 => None,
            _ => Some(reader.many(4, "covers", |bytes| f32::from_le_bytes(part(bytes, 0)))?),
        };
        reader.end()?;
        let ensemble = Ensemble { inputs, link, start, roots, nodes, sets, vectors, covers };
        ensemble.check().map_err(|(found, wanted)| Error::input("model/trees", found, wanted))?;
        Ok(ensemble)
    }

    fn check(&self) -> Result<(), (String, &'static str)> {
        let outputs = self.start.len();
        let is_single = matches!(self.link, Link::Sum | Link::Logistic | Link::Mean | Link::Share);
        if outputs == 0 || (is_single && outputs != 1) || !self.vectors.len().is_multiple_of(outputs) {
            return Err((format!("{outputs} start values and {} in leaf vectors", self.vectors.len()), "as many as the link has"));
        }
        if self.link == Link::Softmax && !self.roots.len().is_multiple_of(outputs) {
            return Err((format!("{} trees for {outputs} classes", self.roots.len()), "as many for each class"));
        }
        if self.inputs.is_empty() || self.inputs.len() > FEATURE as usize {
            return Err((format!("{} inputs", self.inputs.len()), "at least one, below 2^29"));
        }
        if let Some(covers) = &self.covers {
            let leaves = self.nodes.iter().filter(|node| node.ask & LEAF != 0).count();
            if covers.len() != leaves || !covers.iter().all(|cover| cover.is_finite() && *cover >= 0.0) {
                return Err((format!("{} covers for {leaves} leaves", covers.len()), "one for each, finite and not negative"));
            }
        }
        let ends = self.roots.iter().skip(1).copied().chain([self.nodes.len() as u32]);
        if self.nodes.len() > u32::MAX as usize
            || self.roots.first().is_some_and(|&first| first != 0)
            || (self.roots.is_empty() && !self.nodes.is_empty())
        {
            return Err((format!("{} nodes in {} trees", self.nodes.len(), self.roots.len()), "nodes from the first tree on"));
        }
        for (&root, end) in self.roots.iter().zip(ends) {
            if root >= end || end as usize > self.nodes.len() {
                return Err((format!("a tree from node {root} to {end}"), "trees one after another"));
            }
            for place in root..end {
                self.check_node(place, end).map_err(|wanted| (format!("node {place}: {:?}", self.nodes[place as usize]), wanted))?;
            }
        }
        Ok(())
    }

    fn check_node(&self, place: u32, end: u32) -> Result<(), &'static str> {
        let node = &self.nodes[place as usize];
        if node.ask & LEAF != 0 {
            let is_known = match self.link {
                Link::Shares => node.threshold.to_bits() < (self.vectors.len() / self.start.len()) as u64,
                _ => node.threshold.is_finite(),
            };
            return if is_known && node.ask == LEAF { Ok(()) } else { Err("a leaf with a finite value or the number of a vector") };
        }
        let Some(input) = self.inputs.get((node.ask & FEATURE) as usize) else { return Err("a feature of the model") };
        if node.left <= place || node.left >= end - 1 {
            return Err("two children after their parent");
        }
        let flags = node.ask & (CATEGORY | MISSING_LEFT);
        match input {
            Input::Number if flags & CATEGORY == 0 && !node.threshold.is_nan() => Ok(()),
            Input::Category { .. } if flags == CATEGORY && node.threshold.to_bits() < self.sets.len() as u64 => Ok(()),
            _ => Err("a threshold for a number or a set for a category"),
        }
    }
}

fn inputs(reader: &mut Reader<'_>) -> Result<Vec<Input>> {
    (0..reader.count(1, "inputs")?)
        .map(|_| match reader.byte("an input's kind")? {
            0 => Ok(Input::Number),
            1 => {
                let other = reader.byte("a category's last bin")?;
                let bin_of = reader.many(1, "classes", |bytes| bytes[0])?;
                if usize::from(other) > CELLS - 2 || bin_of.iter().any(|&bin| bin > other) {
                    return Err(reader.wrong(format!("a class in a bin above {other}"), "bins up to the last one"));
                }
                Ok(Input::Category { bin_of, other })
            }
            kind => Err(reader.wrong(format!("an input of kind {kind}"), "0 or 1")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Feature, Values};
    use cupola_task::Draw;

    fn ensembles() -> [Ensemble; 2] {
        let leaf = |value: f64| Node { threshold: value, ask: LEAF, left: 0 };
        let boosted = Ensemble {
            inputs: vec![Input::Number, Input::Category { bin_of: vec![0, 1, 2], other: 3 }],
            link: Link::Logistic,
            start: vec![0.25],
            roots: vec![0, 5],
            nodes: vec![
                Node { threshold: 1.5, ask: MISSING_LEFT, left: 1 },
                Node { threshold: f64::from_bits(0), ask: 1 | CATEGORY, left: 3 },
                leaf(-1.0),
                leaf(0.5),
                leaf(0.75),
                leaf(2.0),
            ],
            sets: vec![BinSet([5, 0, 0, 0])],
            vectors: vec![],
            covers: Some(vec![1.0, 2.0, 3.5, 6.5]),
        };
        let shares = Ensemble {
            link: Link::Shares,
            start: vec![0.0; 3],
            roots: vec![0],
            nodes: vec![Node { threshold: 0.0, ask: 0, left: 1 }, leaf(f64::from_bits(0)), leaf(f64::from_bits(1))],
            sets: vec![],
            vectors: vec![1.0, 0.0, 0.0, 0.0, 0.5, 0.5],
            covers: None,
            ..boosted.clone()
        };
        [boosted, shares]
    }

    fn features() -> Vec<Feature> {
        let numbers = vec![0.0, 1.5, 2.0, f64::NAN, f64::INFINITY];
        let codes = Values::Codes { codes: vec![0, 1, 2, u32::MAX, 7], classes: 8 };
        vec![Feature { name: "a".into(), values: Values::Numbers(numbers) }, Feature { name: "b".into(), values: codes }]
    }

    #[test]
    fn from_bytes_reads_what_to_bytes_writes() {
        for ensemble in ensembles() {
            assert_eq!(Ensemble::from_bytes(&ensemble.to_bytes()).unwrap(), ensemble);
        }
    }

    #[test]
    fn truncated_bytes_are_refused() {
        for ensemble in ensembles() {
            let bytes = ensemble.to_bytes();
            assert!((0..bytes.len()).all(|end| Ensemble::from_bytes(&bytes[..end]).is_err()));
            assert!(Ensemble::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
        }
    }

    #[test]
    fn mutated_bytes_are_refused_or_answer() {
        let draw = Draw::new(11);
        let mut opened = 0;
        for ensemble in ensembles() {
            let bytes = ensemble.to_bytes();
            for trial in 0..20_000u64 {
                let (draw, mut bytes) = (draw.at(trial), bytes.clone());
                for change in 0..1 + draw.below(100, 3) {
                    let place = draw.below(change * 3, bytes.len() as u64) as usize;
                    let extremes = [0, 1, 0x7f, 0x80, 0xff, draw.bits(change * 3 + 1) as u8];
                    bytes[place] = extremes[draw.below(change * 3 + 2, 6) as usize];
                }
                if let Ok(ensemble) = Ensemble::from_bytes(&bytes)
                    && ensemble.inputs.len() == 2
                    && ensemble.inputs[0] == Input::Number
                    && ensemble.inputs[1] != Input::Number
                {
                    opened += 1;
                    assert_eq!(ensemble.answer(&features(), 5).len(), 5 * ensemble.width());
                }
            }
        }
        assert!(opened > 1000, "only {opened} mutations opened");
    }
}
