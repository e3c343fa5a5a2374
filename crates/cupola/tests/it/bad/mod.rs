//! Bad input: one clear error with its place and a hint, the documented exit code, and nothing left behind.

mod data;
mod models;
mod pictures;
mod places;
mod words;
