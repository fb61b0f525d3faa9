//! Python programs that tests run against.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// A Python with the requirements of a directory, made once for an interpreter, under
/// this name.
pub fn python(files: &Path, name: &str) -> Option<PathBuf> {
    let mut interpreter = Command::new("python3");
    interpreter.args(["-c", "import sys; print(sys.executable, sys.version)"]);
    let interpreter = interpreter.output().ok()?;
    let requirements = files.join("requirements.txt");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let lock = File::create(home.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let (python, done) = (home.join("bin/python"), home.join("done"));
    let wanted = [interpreter.stdout, fs::read(&requirements).unwrap()].concat();
    if fs::read(&done).is_ok_and(|made| made == wanted) {
        return Some(python);
    }
    let run = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    let mut venv = Command::new("python3");
    let mut pip = Command::new(&python);
    let made = run(venv.args(["-m", "venv", "--clear"]).arg(&home))
        && run(pip
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "-r",
            ])
            .arg(&requirements));
    made.then(|| {
        fs::write(done, wanted).unwrap();
        python
    })
}
