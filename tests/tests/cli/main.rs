//! The command line, run as a process: its help, its errors, accounts, and one mail through the demo.

mod account;
mod alias;
mod config;
mod demo;
mod dns;
mod explain;
mod help;
mod serve;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The program, built now as this test was.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let test = std::env::current_exe().expect("this program's path");
        let folder = test.ancestors().nth(2).expect("target/<profile>/deps");
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "-p", "pillarbox", "--bin", "pillarbox"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(
            build.status().is_ok_and(|status| status.success()),
            "the program does not build"
        );
        folder.join("pillarbox")
    })
}

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("pillarbox-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("a file");
    }

    /// Runs the program in the folder, with this standard input.
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(program())
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        // It may end without reading.
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
        child.wait_with_output().expect("it ends")
    }

    /// Everything that a person sees, and the exit code.
    fn shown(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run(arguments, input);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text)
            .expect("UTF-8")
            .replace(&self.0.display().to_string(), "FOLDER");
        format!("{text}[exit {}]", output.status.code().expect("it ends by itself"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
