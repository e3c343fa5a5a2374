//! A folder to work in and the program in it.

use expect_test::Expect;
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none when a signal ended the process.
    pub code: Option<i32>,
    /// Standard output, with the desk's folder written as `DESK`.
    pub stdout: String,
    /// Standard error, the same.
    pub stderr: String,
}

/// A temporary folder with the runs and files of one test.
pub struct Desk {
    folder: TempDir,
}

/// A file that ships.
pub fn shipped(name: &str) -> String {
    root().join("data").join(name).display().to_string()
}

/// The folder of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

impl Desk {
    /// An empty one.
    pub fn new() -> Desk {
        Desk { folder: TempDir::new().unwrap() }
    }

    /// One with `good.csv`, a small model of it (run 1), and a copy of its file, `small.cupola`.
    pub fn trained() -> Desk {
        let desk = Desk::new();
        desk.put("good.csv", good(200));
        desk.ok(&["train", "good.csv", "target=c", "model=tree", "ignore=y", "name=small", "-q"]);
        desk.put("small.cupola", desk.bytes("runs/0001-small/model.cupola"));
        desk
    }

    /// The path of a file on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file on it.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// The content of a file on it.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    /// The same as JSON.
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    /// The names in a folder, in order; nothing when there is none.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A program that starts here, with nothing of the outer world that could change what it says.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env("CUPOLA_HOME", self.folder.path()).env("COLUMNS", "100").env("NO_COLOR", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The program with these arguments, not yet started.
    pub fn cupola(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_cupola"));
        command.args(arguments);
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.ended(self.cupola(arguments).spawn().unwrap())
    }

    /// Runs it, and it must succeed.
    pub fn ok(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "cupola {}\n{}{}", arguments.join(" "), ran.stdout, ran.stderr);
        ran
    }

    /// Runs it with bytes on standard input.
    pub fn fed(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.cupola(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = input.to_owned();
        // The program may end before it has read everything.
        let feeder = std::thread::spawn(move || drop(pipe.write_all(&input)));
        let ran = self.ended(child);
        feeder.join().unwrap();
        ran
    }

    /// Runs a line of shell, where `$CUPOLA` is the program.
    pub fn shell(&self, line: &str) -> Ran {
        self.ended(self.command("sh").args(["-c", line]).env("CUPOLA", env!("CARGO_BIN_EXE_cupola")).spawn().unwrap())
    }

    /// Runs each line of arguments (cut at blanks) and holds what was said against the expected text, all of a topic at once.
    /// Nothing may be left behind.
    pub fn refuses(&self, lines: &[&str], wanted: Expect) {
        let before = (self.names("."), self.names("runs"));
        let mut said = String::new();
        for line in lines {
            let arguments: Vec<&str> = line.split(' ').collect();
            let ran = self.run(&arguments);
            let code = ran.code.map_or("a signal".to_owned(), |code| code.to_string());
            let errors = ran.stderr.lines().filter(|line| !line.is_empty() && !line.starts_with("leak check: "));
            writeln!(said, "$ {}\n{}\n= {code}", self.plain(line), errors.collect::<Vec<_>>().join("\n")).unwrap();
            assert_eq!(ran.stdout, "", "{line}");
        }
        wanted.assert_eq(&said);
        assert_eq!((self.names("."), self.names("runs")), before, "nothing is left behind");
    }

    /// Waits for a process.
    pub fn ended(&self, child: Child) -> Ran {
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| self.plain(&String::from_utf8_lossy(&bytes));
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Text without the folders of this machine.
    pub fn plain(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        text.replace(&format!("{folder}/"), "").replace(&folder, "DESK").replace(&root().display().to_string(), "REPO")
    }

    /// The hash of a model file or run, as `verify` tells it.
    pub fn hash(&self, model: &str) -> String {
        let told: Value = serde_json::from_str(&self.ok(&["--json", "verify", model]).stdout).unwrap();
        told["hash"].as_str().unwrap().to_owned()
    }
}

/// A server that runs on a desk, until it is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: String,
    /// The names it serves.
    pub models: Vec<String>,
}

impl Desk {
    /// Starts a server of those models and settings on a free port and waits until it listens.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        let all = [&["serve"], arguments, &["http=127.0.0.1:0", "--json"]].concat();
        let mut child = self.cupola(&all).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let models = ready["models"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        Server { child, address: ready["address"].as_str().unwrap().to_owned(), models }
    }
}

impl Server {
    /// Asks and waits for status and body.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        ask(&self.address, method, path, "", body)
    }

    /// Asks it to stop, and waits for its exit code.
    pub fn stop(mut self) -> Option<i32> {
        assert!(Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    /// Ends it without a word.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until something is so, for twenty seconds.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

/// One request on a connection of its own; each of `headers` ends in a line feed.
pub fn ask(address: &str, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let kind = if headers.contains("content-type") { "" } else { "content-type: application/json\r\n" };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n{kind}content-length: {length}\r\n{headers}");
    write!(stream, "{head}connection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Rows of `a,b,c,y`: two numbers, a class and a number that follow from them with noise. The same at every call.
pub fn table(rows: usize) -> Vec<[String; 4]> {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    };
    let mut row = || {
        let (a, b) = (next(), next());
        let class = if a + b * 0.5 + next() * 0.9 > 1.2 { "yes" } else { "no" };
        [format!("{a:.4}"), format!("{b:.4}"), class.to_owned(), format!("{:.4}", a * 3.0 + b + next())]
    };
    (0..rows).map(|_| row()).collect()
}

/// Those rows as CSV, each cell passed through `cell(row, column, text)`.
pub fn csv(rows: usize, cell: impl Fn(usize, usize, &str) -> String) -> String {
    let line = |(row, cells): (usize, &[String; 4])| {
        let cells: Vec<String> = cells.iter().enumerate().map(|(column, text)| cell(row, column, text)).collect();
        format!("{}\n", cells.join(","))
    };
    format!("a,b,c,y\n{}", table(rows).iter().enumerate().map(line).collect::<String>())
}

/// Those rows as they are.
pub fn good(rows: usize) -> String {
    csv(rows, |_, _, text| text.to_owned())
}
