//! The command line: parse, call, print. Nothing is computed here.

mod arguments;
mod commands;
mod fault;
mod memory;
mod screen;
mod surroundings;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: memory::Allocator = memory::Allocator;

fn main() -> ExitCode {
    quiet_guarded_panics();
    survive_file_limits();
    let words = arguments::as_pairs(std::env::args_os());
    let arguments = match arguments::Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return fault::usage(&error, words.iter().any(|word| word == "--json")),
    };
    surroundings::grant_access();
    let screen = screen::Screen::new(arguments.json, arguments.quiet);
    match commands::run(arguments, &screen) {
        Ok(code) => code,
        Err(error) => fault::report(&error, &screen),
    }
}

/// A write beyond the limit on file sizes is to fail with an error that can be told, not to end the process without a word.
fn survive_file_limits() {
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
}

/// Readers of damaged files may panic inside a library; that is caught and told as an error, so the hook must not print it too.
fn quiet_guarded_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !cupola_data::is_guarded() {
            usual(panic);
        }
    }));
}
