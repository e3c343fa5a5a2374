//! Files that are not what we wrote: damaged by chance, or made to do harm with a checksum that fits.

use super::container;
use super::fixture::{CATALOG, artifact, trained};
use super::model::Artifact;
use super::open::{Catalog, Opening, decode};
use cupola_task::Draw;
use std::time::Duration;

const MUTANTS: u64 = 10_000;
const STILL: Opening<'static> = Opening { clock: &|| Duration::ZERO, replay: Opening::REPLAY };

/// Flips bits, overwrites, cuts out, doubles, moves, truncates, writes huge lengths: one to four times.
fn mutate(bytes: &[u8], draw: Draw) -> Vec<u8> {
    let mut mutant = bytes.to_vec();
    for step in 0..1 + draw.below(0, 4) {
        let at = |index: u64| draw.below(1 + step * 10 + index, mutant.len() as u64) as usize;
        if mutant.is_empty() {
            break;
        }
        let (from, place, pick) = (at(0), at(1), draw.bits(8 + step * 10));
        let piece = mutant[from..mutant.len().min(from + 16)].to_vec();
        let choice = (pick >> 8 & 3) as usize;
        match pick % 7 {
            0 => mutant[place] ^= 1 << (pick >> 8 & 7),
            1 => mutant[place] = [0xff, 0x7f, b'9', b'['][choice],
            2 => drop(mutant.drain(from..from + piece.len())),
            3 => mutant.splice(place..place, piece).for_each(drop),
            4 => mutant.truncate(place),
            5 => overwrite(&mut mutant[place..], &[u64::MAX, 1 << 40, 1 << 31, 0][choice].to_le_bytes()),
            _ => overwrite(&mut mutant[place..], &piece),
        }
    }
    mutant
}

fn overwrite(place: &mut [u8], piece: &[u8]) {
    let length = place.len().min(piece.len());
    place[..length].copy_from_slice(&piece[..length]);
}

/// One mutant in four is a damaged file. The others have a checksum that fits, so that what lies behind it is reached: one in four is
/// damaged anywhere, two in four in one part alone, under a table that fits.
fn mutant(bytes: &[u8], draw: Draw) -> Vec<u8> {
    let body = &bytes[..bytes.len() - 32];
    match draw.step % 4 {
        0 => mutate(bytes, draw),
        1 => {
            let mutant = mutate(body, draw);
            [&mutant[..], blake3::hash(&mutant).as_bytes()].concat()
        }
        _ => {
            let (mut parts, _) = container::unpack("whole", bytes).unwrap();
            let pick = draw.below(100, parts.0.len() as u64) as usize;
            let part = parts.0.values_mut().nth(pick).unwrap();
            *part = mutate(part, draw);
            container::pack(&parts).unwrap().0
        }
    }
}

/// Opens mutants; those that open must answer golden rows as before, and other rows somehow. How many opened.
fn open_mutants(what: &str, artifact: &Artifact, catalog: &Catalog, mutants: u64) -> u64 {
    let bytes = artifact.to_bytes().unwrap();
    let draw = Draw::new(11).stream(what);
    let opened =
        (0..mutants).filter_map(|step| decode("mutant", &mutant(&bytes, draw.at(step)), STILL, catalog).ok().map(|mutant| (step, mutant)));
    let check = |(step, mutant): (u64, Artifact)| {
        mutant.verify().unwrap_or_else(|error| panic!("mutant {step} of {what} opened and does not answer: {error}"));
        let _ = mutant.predict(artifact.golden());
    };
    opened.map(check).count() as u64
}

#[test]
fn mutated_files_are_refused_or_answer_as_before() {
    let opened = open_mutants("fixture", &artifact(), &CATALOG, MUTANTS);
    assert!((1..MUTANTS / 2).contains(&opened), "{opened} mutants opened");
}

#[test]
fn mutated_files_of_every_model_are_refused_or_answer_as_before() {
    let each = MUTANTS / 2;
    // Networks on images keep the same parts as the one on tables; damage to theirs is tested in `nets`, where they are small.
    for model in crate::models().filter(|model| !matches!(model.needs, cupola_task::Needs::Images(_))) {
        let opened = open_mutants(model.name, &trained(model.name), &super::open::CATALOG, each);
        assert!(opened < each / 2, "{opened} mutants of {} opened", model.name);
    }
}

#[test]
fn every_truncation_and_every_flipped_byte_is_refused() {
    let bytes = artifact().to_bytes().unwrap();
    assert!((0..bytes.len()).all(|length| decode("cut", &bytes[..length], STILL, &CATALOG).is_err()));
    let flipped = |place: usize| {
        let mut flipped = bytes.clone();
        flipped[place] ^= 0x10;
        decode("flipped", &flipped, STILL, &CATALOG).is_err()
    };
    assert!((0..bytes.len()).all(flipped));
}
