//! Logins: who is meant, what it tells, what it writes.

use serde_json::json;
use tokio::task::JoinSet;

use crate::scene::{PASSWORD, Scene, anonymous, bearer, pair, send};

/// A row as the monolith would have it, with the password of another one.
fn row(id: i32, username: &str, email: &str) -> String {
    format!(
        "insert into auth_user (id, password, is_superuser, username, first_name, last_name, \
         email, is_staff, is_active, date_joined) select {id}, password, false, '{username}', \
         '', '', '{email}', false, true, now() from auth_user where username = 'testuser';"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_exactly_one_users_or_nobodys() {
    let scene = Scene::new(&[]).await;
    scene.register("testuser").await;
    scene
        .sql(
            &[
                row(101, "one", "One@Example.com"),
                row(102, "two", "Twice@example.com"),
                row(103, "three", "twice@example.com"),
                row(104, "four", "same@example.com"),
                row(105, "five", "same@example.com"),
                row(106, "six", ""),
                row(107, "seven", ""),
            ]
            .concat(),
        )
        .await;
    let table = [
        ("One@Example.com", Some(101)),
        ("one@example.com", Some(101)),
        ("Twice@example.com", Some(102)),
        ("twice@example.com", Some(103)),
        ("TWICE@example.com", None),
        ("same@example.com", None),
        ("' or true --", None),
    ];
    for (email, expected) in table {
        let answer = scene.login(email, PASSWORD).await;
        match expected {
            None => answer.is_problem(401, "credentials-invalid"),
            Some(id) => {
                let me = scene.get("/auth/me", &pair(&answer).0).await;
                assert_eq!(me.json()["id"], id, "{email}");
            }
        }
    }
    // Whoever has no address of their own still has a name.
    for name in ["four", "six", "testuser"] {
        let body = json!({ "username": name, "password": PASSWORD });
        assert_eq!(scene.post("/auth/login", &body).await.status, 200, "{name}");
    }
    let body = json!({ "username": "FOUR", "password": PASSWORD });
    scene
        .post("/auth/login", &body)
        .await
        .is_problem(401, "credentials-invalid");
}

/// Notes each row that is added, also where it is soon removed again.
const NOTED: &str = "create table written (name text not null); \
     create function note_written() returns trigger language plpgsql security definer \
     set search_path = identity_service as \
     $$ begin insert into written values (tg_table_name); return null; end $$; \
     create trigger noted after insert on link for each row execute function note_written(); \
     create trigger noted after insert on ledger for each row execute function note_written(); \
     create trigger noted after insert on outbox_events \
     for each row execute function note_written(); \
     create trigger noted after insert on outbox_deliveries \
     for each row execute function note_written();";

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_tells_whether_somebody_exists() {
    // Letters are written here; that nobody takes them is of no account.
    let variables = [
        ("NOTIFICATION_URL", "http://127.0.0.1:1"),
        ("NOTIFICATION_SERVICE_API_KEY", "letters"),
    ];
    let scene = Scene::new(&variables).await;
    for name in ["testuser", "inactive", "unusable", "unread"] {
        scene.register(name).await;
    }
    scene
        .sql(
            "update auth_user set is_active = false where username = 'inactive'; \
             update auth_user set password = '!' || password where username = 'unusable'; \
             update auth_user set password = 'md5$a$b' where username = 'unread'",
        )
        .await;
    let wrong = scene
        .login("testuser@example.com", "Wrong-Password-1")
        .await;
    wrong.is_problem(401, "credentials-invalid");
    assert_eq!(wrong.json()["detail"], "Invalid credentials");
    for name in ["nobody", "inactive", "unusable", "unread"] {
        let email = format!("{name}@example.com");
        let answer = scene.login(&email, PASSWORD).await;
        assert_eq!(anonymous(&answer), anonymous(&wrong), "{name}");
    }
    scene.sql(NOTED).await;
    // The work is the same: as many rows, though not for the same topics.
    let reset = async |email: &str| {
        scene.sql("delete from written").await;
        let answer = scene
            .post("/auth/password/reset", &json!({ "email": email }))
            .await;
        let written = "select string_agg(name, ' ' order by name) from written";
        assert_eq!(
            scene.text(written).await,
            "ledger link outbox_deliveries outbox_events",
            "{email}"
        );
        answer
    };
    let somebody = reset("testuser@example.com").await;
    assert_eq!(somebody.status, 202, "{somebody:?}");
    for name in ["nobody", "inactive", "unusable", "unread"] {
        let answer = reset(&format!("{name}@example.com")).await;
        assert_eq!(anonymous(&answer), anonymous(&somebody), "{name}");
    }
}

/// As a fence does, before the switch and while it goes on.
const FENCE: &str = "create function refuse() returns trigger language plpgsql as \
     $$ begin raise exception 'fenced' using errcode = '25006'; end $$; \
     create trigger fence before insert or update or delete or truncate on auth_user \
     for each statement execute function refuse();";

#[tokio::test(flavor = "multi_thread")]
async fn a_login_writes_no_moved_table() {
    let scene = Scene::new(&[]).await;
    let registered = scene.register("testuser").await;
    let rows = "select md5(string_agg(u::text || xmin::text, ',' order by id)) from auth_user u";
    let before = scene.text(rows).await;
    scene.sql(FENCE).await;
    let (access, refresh) = scene.tokens("testuser").await;
    scene
        .login("testuser@example.com", "Wrong-Password-1")
        .await
        .is_problem(401, "credentials-invalid");
    assert_eq!(scene.refresh(&refresh).await.status, 200);
    assert_eq!(scene.get("/auth/me", &access).await.status, 200);
    let id = registered.json()["id"].clone();
    let roles = scene
        .send(
            &format!("PUT /auth/users/{id}/roles"),
            "X-API-Key: auth-key\r\nContent-Type: application/json\r\n",
            r#"{"roles": ["clerk"]}"#,
        )
        .await;
    assert_eq!(roles.status, 200, "{roles:?}");
    assert_eq!(scene.text(rows).await, before);

    let body = json!({ "username": "late", "email": "late@example.com", "password": PASSWORD });
    let change = json!({ "current_password": PASSWORD, "new_password": "Another-Password-1" });
    for refused in [
        scene.post("/auth/register", &body).await,
        scene
            .post_by("/auth/password/change", &bearer(&access), &change)
            .await,
    ] {
        refused.is_problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(scene.get("/auth/me", &access).await.status, 200);
    assert_eq!(scene.text(rows).await, before);
    scene.sql("drop trigger fence on auth_user").await;
    assert_eq!(scene.post("/auth/register", &body).await.status, 201);
}

/// As long as Django follows the table, its hash is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_written_anew_only_when_the_setting_says_so() {
    for (setting, expected) in [("false", "120000"), ("true", "100000")] {
        let scene = Scene::new(&[("PASSWORD_REHASH", setting)]).await;
        scene.register("testuser").await;
        // Made by Django: make_password("SecurePassword123!", salt="salt") with 120000.
        scene
            .sql(
                "update auth_user set password = \
                 'pbkdf2_sha256$120000$salt$j9Lj7b2Yt5osnxnWawzoCVDJYghK1Hcnpy2JvK9s2jE='",
            )
            .await;
        let (access, _) = scene.tokens("testuser").await;
        let iterations = scene
            .text("select split_part(password, '$', 2) from auth_user")
            .await;
        assert_eq!(iterations, expected);
        assert_eq!(scene.get("/auth/me", &access).await.status, 200);
        scene.tokens("testuser").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_comes_again_ends_its_session_only() {
    let scene = Scene::new(&[]).await;
    scene.register("testuser").await;
    let (_, first) = scene.tokens("testuser").await;
    let (other_access, _) = scene.tokens("testuser").await;
    let (second_access, second) = pair(&scene.refresh(&first).await);
    scene
        .refresh(&first)
        .await
        .is_problem(401, "token-replayed");
    // Neither the thief's nor the owner's goes on.
    scene
        .refresh(&second)
        .await
        .is_problem(401, "session-ended");
    scene.refresh(&first).await.is_problem(401, "session-ended");
    scene
        .get("/auth/me", &second_access)
        .await
        .is_problem(401, "session-ended");
    assert_eq!(scene.get("/auth/me", &other_access).await.status, 200);
    // Nothing of it is in the tables as it is.
    let kept = scene
        .text("select string_agg(r::text, ' ') from refresh_token r")
        .await;
    assert!(!kept.contains(&first) && !kept.contains(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_refresh_by_one_token_at_most_one_does() {
    let scene = Scene::new(&[]).await;
    scene.register("testuser").await;
    let (_, refresh) = scene.tokens("testuser").await;
    let mut answers = JoinSet::new();
    for _ in 0..8 {
        let (address, headers) = (scene.running.address().clone(), bearer(&refresh));
        answers.spawn(async move { send(&address, "POST /auth/refresh", &headers, "").await });
    }
    let answers = answers.join_all().await;
    let good: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .collect();
    assert_eq!(good.len(), 1, "{answers:?}");
    assert!(
        answers
            .iter()
            .all(|answer| [200, 401].contains(&answer.status))
    );
    scene
        .refresh(&pair(good[0]).1)
        .await
        .is_problem(401, "session-ended");
}

/// Whoever changes a password in the monolith ends the sessions here.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_password_and_its_user() {
    let changes: [&str; 3] = [
        "update auth_user set password = 'pbkdf2_sha256$1$salt$aGFzaGhhc2g='",
        "update auth_user set is_active = false",
        "delete from auth_user",
    ];
    for change in changes {
        let scene = Scene::new(&[]).await;
        scene.register("testuser").await;
        let (access, refresh) = scene.tokens("testuser").await;
        scene.sql(change).await;
        scene
            .get("/auth/me", &access)
            .await
            .is_problem(401, "session-ended");
        scene
            .refresh(&refresh)
            .await
            .is_problem(401, "session-ended");
    }
}
