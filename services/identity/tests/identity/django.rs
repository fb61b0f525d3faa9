//! Passwords and users against a real Django.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use identity::password::{Encoded, Hasher, HasherSettings, Password};
use serde_json::Value;
use testbed::process::{self, Spec};
use testbed::python::Environment;

use crate::scene::{PASSWORD, Scene, pair};

/// argon2 takes 100 MiB and a core; six algorithms and two passwords.
const TIMEOUT: Duration = Duration::from_mins(2);

/// What Django 5.2 writes itself.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

async fn python(script: &str, arguments: &[&str], database: &str) -> Value {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/django");
    let environment = Environment::ensure(&home.join("requirements.txt"))
        .await
        .unwrap();
    let spec = Spec::new("django", environment.program("python"))
        .arg(home.join(script))
        .args(arguments)
        .env("DATABASE_URL", database);
    let finished = process::run(&spec, TIMEOUT)
        .await
        .unwrap()
        .successful()
        .unwrap();
    serde_json::from_str(&finished.stdout).unwrap()
}

async fn django(arguments: &[&str]) -> Value {
    python("hashers.py", arguments, "").await
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
    let permit = Hasher::new(settings).permit().await.unwrap();
    let written = permit.encode(&password).await.unwrap();
    // Django's column.
    assert!(written.len() <= 128);
    let right = django(&["check", "SecurePassword123!", &written]).await;
    assert_eq!(right, serde_json::json!({ "right": true, "anew": false }));
    let wrong = django(&["check", "SecurePassword123", &written]).await;
    assert_eq!(wrong["right"], false);
}

/// What PostgreSQL says of a table's columns, in their order.
fn columns(schema: &str) -> String {
    format!(
        "select string_agg(concat_ws(' ', column_name, data_type, character_maximum_length, \
             is_nullable, is_identity, identity_generation, column_default), ', ' \
             order by ordinal_position) \
         from information_schema.columns \
         where table_schema = '{schema}' and table_name = 'auth_user'"
    )
}

/// Rows go from one table to the other as they are, and users with them.
#[tokio::test(flavor = "multi_thread")]
async fn users_of_one_side_are_users_of_the_other() {
    let scene = Scene::new(&[("PASSWORD_ITERATIONS", "1000000")]).await;
    let url = scene.cluster.url("owner", "identity").unwrap();
    let monolith = async |arguments: &[&str]| python("monolith.py", arguments, &url).await;
    monolith(&["migrate"]).await;
    let theirs = scene.text(&columns("public")).await;
    assert_eq!(scene.text(&columns("identity_service")).await, theirs);

    let id = monolith(&["create", "django", "Django@Example.com", PASSWORD]).await;
    scene
        .sql("insert into auth_user table public.auth_user")
        .await;
    let answer = scene.login("django@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let me = scene.get("/auth/me", &pair(&answer).0).await.json();
    assert_eq!((&me["id"], &me["username"]), (&id, &Value::from("django")));
    assert_eq!(me["email"], "Django@example.com");

    scene
        .sql("select setval('auth_user_id_seq', max(id)) from auth_user")
        .await;
    let id = scene.register("testuser").await.json()["id"].clone();
    scene
        .sql("delete from public.auth_user; insert into public.auth_user table auth_user")
        .await;
    assert_eq!(monolith(&["authenticate", "testuser", PASSWORD]).await, id);
    assert_eq!(
        monolith(&["authenticate", "testuser", "Wrong-Password-1"]).await,
        Value::Null
    );
    // It was not written anew by the login there: sessions go on here.
    let same = "select (count(distinct password) = 1)::text from ( \
         select password from public.auth_user where username = 'testuser' \
         union all select password from auth_user where username = 'testuser') as sides";
    assert_eq!(scene.text(same).await, "true");
}
