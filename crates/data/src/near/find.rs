//! Three passes over the rows: how often values come, signatures, and the rows that are candidates. What is kept meanwhile is some hundred bytes a
//! row, however long rows are.

use super::bands::{Bands, candidates};
use super::pictures::{Alike, Look, alike};
use super::signature::{Signer, Token, similarity, worth};
use super::tokens::Counted;
use crate::split::word_of_side;
use crate::{Chunk, Error, Input, ReadOptions, Result, stream};
use cupola_task::{Range, Setting, Settings, Side};
use datasketches::countmin::CountMinSketch;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What may be said about `data dup`.
pub const DUP: &[Setting] = &[
    Setting {
        name: "threshold",
        alias: &["similarity"],
        default: "0.8",
        range: Range::Real { min: 0.05, max: 1.0 },
        doc: "how alike rows are near duplicates: the share of the information in either that both have; 1: exact ones only",
    },
    Setting {
        name: "permutations",
        alias: &["num_perm"],
        default: "128",
        range: Range::Integer { min: 16, max: 1024 },
        doc: "hashes of MinHash: more of them miss fewer pairs near the threshold, and take longer",
    },
    Setting {
        name: "distance",
        alias: &["hamming"],
        default: "8",
        range: Range::Integer { min: 0, max: 15 },
        doc: "bits of 64 in which the perceptual hashes of two pictures may differ that are held against each other: more of them find pictures that were changed more, and take longer",
    },
    Setting {
        name: "listed",
        alias: &[],
        default: "1000",
        range: Range::Integer { min: 0, max: 100_000 },
        doc: "groups, and pairs, that are listed at most; all are counted",
    },
];

/// Rows that are read at once.
const CHUNK: usize = 16_384;
/// Hashes and counters of the sketch of how often values come: 25 MB, however many there are.
const COUNTERS: (u8, u32) = (3, 1 << 21);
/// Candidates that are measured at most.
const CANDIDATES_MAX: usize = 2_000_000;
/// The correlation from which on two pictures look alike: of a million pairs of different clothes (Fashion-MNIST) about four reach it.
const CORRELATION: f64 = 0.99;
/// Rows of a group that are listed.
const MEMBERS: usize = 10;

/// Where rows come from.
pub struct Rows<'a> {
    /// The tables, one after another.
    pub inputs: &'a [Input],
    /// How they are read.
    pub read: &'a ReadOptions,
    /// Columns that do not count.
    pub ignore: &'a [String],
    /// The side of each row, when a split is named.
    pub sides: Option<&'a [Side]>,
}

/// A row where it stands.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Spot {
    /// File and line, or file and row.
    pub place: String,
    /// Its side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<&'static str>,
}

/// Rows that are equal in all columns that count.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// Whether they stand on several sides.
    pub is_across: bool,
    /// The first ten.
    pub rows: Vec<Spot>,
}

/// Two rows that are nearly equal.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Pair {
    /// How alike they are; of pictures, their correlation.
    pub similarity: f64,
    /// Of pictures that look alike: the bits in which their perceptual hashes differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<u32>,
    /// Whether they stand on two sides.
    pub is_across: bool,
    /// The rows.
    pub rows: [Spot; 2],
}

/// What was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Duplicates {
    /// Rows that were looked at.
    pub rows: u64,
    /// Columns that count.
    pub columns: Vec<Arc<str>>,
    /// From which similarity on rows are near duplicates.
    pub threshold: f64,
    /// The chance that a pair at the threshold is found.
    pub recall: f64,
    /// Groups of equal rows.
    pub exact_groups: u64,
    /// Rows that repeat an earlier one.
    pub exact_rows: u64,
    /// Pairs of rows that are nearly equal; of equal rows only the first takes part.
    pub near_pairs: u64,
    /// Those of them that are pictures which look alike.
    pub picture_pairs: u64,
    /// Groups on several sides, when a split is named.
    pub exact_across: u64,
    /// Pairs on two sides, when a split is named.
    pub near_across: u64,
    /// Groups, those across sides and then the largest first.
    pub groups: Vec<Group>,
    /// Pairs, those across sides and then the most alike first.
    pub pairs: Vec<Pair>,
    /// Whether there were too many candidates to measure all.
    pub is_cut: bool,
}

impl Duplicates {
    /// Whether rows of one side stand on another.
    pub fn is_across(&self) -> bool {
        self.exact_across + self.near_across > 0
    }
}

/// Looks for rows that repeat others. `progress` hears what is done and how many rows were read.
///
/// # Errors
/// When a table cannot be read, its columns are not those of the first, or it has not as many rows as there are sides.
pub fn duplicates(rows: &Rows<'_>, settings: &Settings, progress: &mut dyn FnMut(&str, u64)) -> Result<Duplicates> {
    let threshold = settings.real("threshold");
    let permutations = settings.integer("permutations") as usize;
    let listed = settings.integer("listed") as usize;
    let bands = Bands::best(threshold, permutations);
    let counted = first_columns(rows)?;
    let first = count(rows, &counted, progress)?;
    if let Some(sides) = rows.sides.filter(|sides| sides.len() != first.prints.len()) {
        return Err(Error::refused(
            rows.inputs[0].name(),
            format!("{} rows", first.prints.len()),
            format!("{} rows, as before", sides.len()),
        ));
    }
    let (groups, is_first) = group(&first.prints);
    let (pairs, is_cut) = match threshold < 1.0 {
        true => {
            let keys = sign(rows, &counted, &first, bands, progress)?;
            candidates(&keys, bands.count, CANDIDATES_MAX, |row| is_first[row])
        }
        false => (vec![], false),
    };
    let (pictures, is_picture_cut) = match threshold < 1.0 {
        true => alike(&firsts(first.looks.clone(), &is_first), settings.integer("distance") as u32, CORRELATION),
        false => (vec![], false),
    };
    let mut groups: Vec<(bool, Vec<u32>)> = groups.into_iter().map(|group| (rows.is_across(&group), group)).collect();
    groups.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.len().cmp(&a.1.len())).then(a.1.cmp(&b.1)));
    let told: Vec<u32> = groups.iter().take(listed).flat_map(|(_, group)| group.iter().take(MEMBERS).copied()).collect();
    let looked = pictures.iter().flat_map(|pair| [pair.one, pair.other]);
    let wanted: BTreeSet<u32> = pairs.iter().flat_map(|(one, other)| [*one, *other]).chain(looked).chain(told).collect();
    let (tokens, places) = gather(rows, &counted, &first, &wanted, progress)?;
    // Chance alone makes pairs share up to twice the logarithm of the number of rows, where columns know nothing of each other.
    let chance = 2.0 * (first.prints.len().max(2) as f64).log2();
    let measure = |&(one, other): &(u32, u32)| {
        let (alike, shared) = similarity(tokens.get(&one)?, tokens.get(&other)?);
        (alike >= threshold && shared > chance).then_some((rows.is_across(&[one, other]), alike, one, other, None))
    };
    let seen: HashSet<(u32, u32)> = pictures.iter().map(|pair| (pair.one, pair.other)).collect();
    let mut found: Vec<Found> = pairs.par_iter().filter(|pair| !seen.contains(*pair)).filter_map(measure).collect();
    let looks = |pair: &Alike| (rows.is_across(&[pair.one, pair.other]), pair.correlation, pair.one, pair.other, Some(pair.distance));
    found.extend(pictures.iter().map(looks));
    found.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then((a.2, a.3).cmp(&(b.2, b.3))));
    let spot = |row: u32| Spot { place: places.get(&row).cloned().unwrap_or_default(), side: rows.side(row).map(word_of_side) };
    let group = |(is_across, group): &(bool, Vec<u32>)| Group {
        count: group.len() as u64,
        is_across: *is_across,
        rows: group.iter().take(MEMBERS).map(|row| spot(*row)).collect(),
    };
    let pair =
        |&(is_across, similarity, one, other, distance): &Found| Pair { similarity, distance, is_across, rows: [spot(one), spot(other)] };
    Ok(Duplicates {
        rows: first.prints.len() as u64,
        columns: counted.names().to_vec(),
        threshold,
        recall: bands.chance(threshold),
        exact_groups: groups.len() as u64,
        exact_rows: groups.iter().map(|(_, group)| group.len() as u64 - 1).sum(),
        near_pairs: found.len() as u64,
        picture_pairs: pictures.len() as u64,
        exact_across: groups.iter().filter(|(across, _)| *across).count() as u64,
        near_across: found.iter().filter(|pair| pair.0).count() as u64,
        groups: groups.iter().take(listed).map(group).collect(),
        pairs: found.iter().take(listed).map(pair).collect(),
        is_cut: is_cut || is_picture_cut,
    })
}

/// Whether a pair stands on two sides, how alike it is, its rows, and of pictures the distance of their hashes.
type Found = (bool, f64, u32, u32, Option<u32>);

/// What is to be compared: of equal rows the first.
fn firsts(looks: Vec<Option<Look>>, is_first: &[bool]) -> Vec<Option<Look>> {
    looks.into_iter().zip(is_first).map(|(look, is_first)| look.filter(|_| *is_first)).collect()
}

impl Rows<'_> {
    fn side(&self, row: u32) -> Option<Side> {
        self.sides.map(|sides| sides[row as usize])
    }

    /// Whether some of the rows stand on different sides. Rows that are left out stand on none.
    fn is_across(&self, rows: &[u32]) -> bool {
        let mut sides = rows.iter().filter_map(|row| self.side(*row)).filter(|side| *side != Side::Out);
        sides.next().is_some_and(|first| sides.any(|side| side != first))
    }
}

fn first_columns(rows: &Rows<'_>) -> Result<Counted> {
    let [first, ..] = rows.inputs else { return Ok(Counted::of(&cupola_task::Columns::default(), rows.ignore)) };
    let chunk = stream(first, rows.read, CHUNK)?.next().transpose()?;
    let columns = chunk.ok_or_else(|| crate::formats::no_rows(&first.name(), &crate::Skipped::default()))?.columns;
    Ok(Counted::of(&columns, rows.ignore))
}

/// What the first pass keeps.
struct First {
    counts: CountMinSketch<u32>,
    prints: Vec<u128>,
    /// Of the first column of pictures, where there is one.
    looks: Vec<Option<Look>>,
}

impl First {
    fn weigh(&self, tokens: &[u64]) -> Vec<Token> {
        let of = self.prints.len() as u64;
        let weigh = |token: &u64| (*token, worth(u64::from(self.counts.estimate(*token)), of));
        tokens.iter().map(weigh).filter(|(_, weight)| *weight > 0.0).collect()
    }
}

/// Calls with the first row's number, and the values and fingerprints of each chunk.
fn each(
    rows: &Rows<'_>,
    counted: &Counted,
    what: &str,
    progress: &mut dyn FnMut(&str, u64),
    mut take: impl FnMut(u32, Vec<(Vec<u64>, u128)>, &Chunk),
) -> Result<()> {
    let mut start = 0u32;
    for input in rows.inputs {
        for chunk in stream(input, rows.read, CHUNK)? {
            let chunk = chunk?;
            let end = u32::try_from(chunk.columns.rows()).ok().and_then(|count| start.checked_add(count));
            let end = end.ok_or_else(|| Error::refused(input.name(), "more than 4,294,967,295 rows", "fewer"))?;
            take(start, counted.rows(&chunk.columns), &chunk);
            start = end;
            progress(what, u64::from(end));
        }
    }
    Ok(())
}

fn count(rows: &Rows<'_>, counted: &Counted, progress: &mut dyn FnMut(&str, u64)) -> Result<First> {
    let counts = CountMinSketch::new(COUNTERS.0, COUNTERS.1).expect("its size is in range");
    let mut first = First { counts, prints: Vec::new(), looks: Vec::new() };
    each(rows, counted, "count values", progress, |_, chunk, read| {
        if let Some(images) = counted.names().iter().find_map(|name| read.columns.get(name)?.images()) {
            first.looks.par_extend((0..images.len()).into_par_iter().map(|row| Look::of(images, row)));
        }
        for (tokens, print) in chunk {
            tokens.iter().for_each(|token| first.counts.update(*token));
            first.prints.push(print);
        }
    })?;
    Ok(first)
}

fn sign(rows: &Rows<'_>, counted: &Counted, first: &First, bands: Bands, progress: &mut dyn FnMut(&str, u64)) -> Result<Vec<u32>> {
    let signer = Signer::new(bands.count * bands.rows);
    let mut keys = Vec::with_capacity(first.prints.len() * bands.count);
    each(rows, counted, "sign rows", progress, |start, chunk, _| {
        let own = |(place, (tokens, _)): (usize, &(Vec<u64>, u128))| -> Vec<u32> {
            let tokens = first.weigh(tokens);
            match tokens.is_empty() {
                // Rows that hold nothing are not alike for that.
                true => (0..bands.count as u32).map(|band| (start + place as u32).wrapping_mul(0x9e37_79b9) ^ band).collect(),
                false => bands.keys(&signer.sign(&tokens)).collect(),
            }
        };
        let chunk: Vec<Vec<u32>> = chunk.par_iter().enumerate().map(own).collect();
        chunk.into_iter().for_each(|own| keys.extend(own));
    })?;
    Ok(keys)
}

type Gathered = (HashMap<u32, Vec<Token>>, BTreeMap<u32, String>);

fn gather(
    rows: &Rows<'_>,
    counted: &Counted,
    first: &First,
    wanted: &BTreeSet<u32>,
    progress: &mut dyn FnMut(&str, u64),
) -> Result<Gathered> {
    let (mut tokens, mut places) = (HashMap::new(), BTreeMap::new());
    if wanted.is_empty() {
        return Ok((tokens, places));
    }
    each(rows, counted, "compare rows", progress, |start, chunk, read| {
        for (place, (own, _)) in (0u32..).zip(&chunk) {
            if wanted.contains(&(start + place)) {
                tokens.insert(start + place, first.weigh(own));
                places.insert(start + place, read.places.place(place as usize));
            }
        }
    })?;
    Ok((tokens, places))
}

/// Groups of two and more equal rows, and whether each row is the first of its kind.
fn group(prints: &[u128]) -> (Vec<Vec<u32>>, Vec<bool>) {
    let mut order: Vec<u32> = (0..prints.len() as u32).collect();
    order.par_sort_unstable_by_key(|row| (prints[*row as usize], *row));
    let mut is_first = vec![true; prints.len()];
    let mut groups = Vec::new();
    for equal in order.chunk_by(|a, b| prints[*a as usize] == prints[*b as usize]).filter(|equal| equal.len() > 1) {
        equal[1..].iter().for_each(|row| is_first[*row as usize] = false);
        groups.push(equal.to_vec());
    }
    groups.sort_unstable();
    (groups, is_first)
}
