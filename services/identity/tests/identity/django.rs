//! Passwords against the hashers of a real Django.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use identity::password::{Encoded, Hasher, HasherSettings, Password};
use serde_json::Value;
use testbed::process::{self, Spec};
use testbed::python::Environment;

/// argon2 takes 100 MiB and a core; six algorithms and two passwords.
const PATIENCE: Duration = Duration::from_mins(2);

/// What Django 5.2 writes itself.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

async fn django(arguments: &[&str]) -> Value {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/django");
    let environment = Environment::ensure(&home.join("requirements.txt"))
        .await
        .unwrap();
    let spec = Spec::new("hashers", environment.program("python"))
        .arg(home.join("hashers.py"))
        .args(arguments);
    let finished = process::run(&spec, PATIENCE)
        .await
        .unwrap()
        .successful()
        .unwrap();
    serde_json::from_str(&finished.stdout).unwrap()
}

#[tokio::test]
async fn what_django_wrote_is_read() {
    let passwords = ["SecurePassword123!", "пароль с пробелом é"];
    let made = django(&["make", passwords[0], passwords[1]]).await;
    let made: Vec<(String, String, String)> = serde_json::from_value(made).unwrap();
    assert_eq!(made.len(), 13);
    for (algorithm, password, text) in made {
        let encoded = Encoded::parse(&text).unwrap_or_else(|why| panic!("{algorithm}: {why}"));
        assert_eq!(encoded.algorithm(), algorithm);
        let is_usable = algorithm != "unusable";
        assert_eq!(
            encoded.matches(password.as_bytes()),
            is_usable,
            "{algorithm}"
        );
        assert!(!encoded.matches(b"SecurePassword123"), "{algorithm}");
    }
}

#[tokio::test]
async fn what_we_write_django_reads_and_leaves_as_it_is() {
    let settings = HasherSettings {
        iterations: ITERATIONS,
        concurrency: 1,
        waiting: 0,
    };
    let password = Password::new("SecurePassword123!");
    let turn = Hasher::new(settings).turn().await.unwrap();
    let written = turn.encode(&password).await.unwrap();
    // Django's column.
    assert!(written.len() <= 128);
    let right = django(&["check", "SecurePassword123!", &written]).await;
    assert_eq!(right, serde_json::json!({ "right": true, "anew": false }));
    let wrong = django(&["check", "SecurePassword123", &written]).await;
    assert_eq!(wrong["right"], false);
}
