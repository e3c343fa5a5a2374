//! The command line: parse, call, print. Nothing is computed here.

mod arguments;
mod commands;
mod fault;
mod screen;

use clap::Parser;
use std::process::ExitCode;

// glibc's allocator maps and unmaps every large buffer; mimalloc keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse_from(arguments::as_pairs(std::env::args_os()));
    let screen = screen::Screen::new(arguments.json, arguments.quiet);
    match commands::run(arguments, &screen) {
        Ok(code) => code,
        Err(error) => fault::report(&error, &screen),
    }
}
