//! What a flood, a guesser and the log get: nothing.

use std::collections::BTreeMap;

use kit::settings::Address;
use serde_json::json;
use testbed::deadline;
use testbed::process::{Process, Signal, Spec};
use tokio::task::JoinSet;

use crate::scene::{self, PASSWORD, Scene, TIMEOUT, bearer, pair, send};

const WRONG: &str = "Wrong-Password-1";

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_is_locked_out_whether_the_account_exists_or_not() {
    let scene = Scene::new(&[("LOGIN_FAILURES_PER_ACCOUNT", "3")]).await;
    scene.register("testuser").await;
    scene.register("bystander").await;
    let mut refusals = Vec::new();
    for name in ["testuser", "nobody"] {
        // However it is spelled, it is the same account.
        for name in [name.to_owned(), name.to_uppercase(), name.to_owned()] {
            let answer = scene.login(&format!("{name}@example.com"), WRONG).await;
            answer.is_problem(401, "credentials-invalid");
        }
        let answer = scene.login(&format!("{name}@example.com"), PASSWORD).await;
        answer.is_problem(429, "throttled");
        let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=900).contains(&wait), "{wait}");
        refusals.push(answer.json()["detail"].clone());
    }
    assert_eq!(refusals[0], refusals[1]);
    scene.tokens("bystander").await;
    // When the window is over, it is over.
    scene.sql("update throttle set ends = now()").await;
    scene.tokens("testuser").await;
    // What was right begins anew: two wrong ones are not three.
    for _ in 0..2 {
        for _ in 0..2 {
            scene
                .login("testuser@example.com", WRONG)
                .await
                .is_problem(401, "credentials-invalid");
        }
        scene.tokens("testuser").await;
    }
    // Once for each of the two that were locked out.
    assert_eq!(scene.text(THROTTLED).await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_an_account_has_guesses_of_its_own() {
    let scene = Scene::new(&[("LOGIN_FAILURES_PER_ACCOUNT", "3")]).await;
    scene.register("testuser").await;
    // A letter that usernames are normalised from, as Django does.
    let guess = async |name: &str, status: u16| {
        let body = json!({ "username": name, "password": WRONG });
        let answer = scene.post_by("/auth/login", "", &body).await;
        assert_eq!(answer.status, status, "{name}");
    };
    guess("testuser", 401).await;
    guess("\u{ff54}estuser", 401).await;
    guess("\u{1d42d}estuser", 401).await;
    guess("te\u{ff53}tuser", 429).await;
}

/// How often it was noted that something was refused.
const THROTTLED: &str = "select count(*)::text from ledger where kind = 'Throttled'";

#[tokio::test(flavor = "multi_thread")]
async fn many_guesses_at_once_are_no_way_around() {
    let variables = [
        ("LOGIN_FAILURES_PER_ACCOUNT", "3"),
        ("HASHING_CONCURRENCY", "8"),
    ];
    let scene = Scene::new(&variables).await;
    scene.register("testuser").await;
    let mut answers = JoinSet::new();
    for _ in 0..16 {
        let address = scene.running.address().clone();
        answers.spawn(async move {
            let body = json!({ "email": "testuser@example.com", "password": WRONG });
            let headers = "Content-Type: application/json\r\n";
            send(&address, "POST /auth/login", headers, &body.to_string())
                .await
                .status
        });
    }
    let mut counted = BTreeMap::new();
    for status in answers.join_all().await {
        *counted.entry(status).or_insert(0) += 1;
    }
    assert_eq!(counted, BTreeMap::from([(401, 3), (429, 13)]));
    assert_eq!(scene.text(THROTTLED).await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lockout_is_noted_once() {
    let scene = Scene::new(&[("LOGIN_FAILURES_PER_ACCOUNT", "3")]).await;
    scene.register("testuser").await;
    let wrong = json!({ "email": "testuser@example.com", "password": WRONG });
    for (status, noted) in [(401, "0"), (401, "0"), (401, "0"), (429, "1"), (429, "1")] {
        let answer = scene.post_by("/auth/login", "", &wrong).await;
        assert_eq!(answer.status, status);
        assert_eq!(scene.text(THROTTLED).await, noted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_counted_over_all_accounts() {
    let scene = Scene::new(&[
        ("LOGIN_FAILURES_PER_ADDRESS", "3"),
        ("REQUESTS_PER_ADDRESS", "2"),
    ])
    .await;
    scene.register("testuser").await;
    let login = async |address: &str, name: &str, password: &str| {
        let body = json!({ "email": format!("{name}@example.com"), "password": password });
        let headers = format!("X-Forwarded-For: {address}\r\n");
        scene.post_by("/auth/login", &headers, &body).await.status
    };
    // What is right is no failure, however often; what the client adds itself
    // stands before what the gateway adds.
    for _ in 0..5 {
        assert_eq!(login("1.1.1.1, 192.0.2.1", "testuser", PASSWORD).await, 200);
    }
    for name in ["a", "b", "c"] {
        assert_eq!(login("2.2.2.2, 192.0.2.1", name, WRONG).await, 401);
    }
    assert_eq!(login("192.0.2.1", "testuser", PASSWORD).await, 429);
    assert_eq!(
        login("192.0.2.1, 192.0.2.9", "testuser", PASSWORD).await,
        200
    );
    let register = async |name: &str| {
        let headers = "X-Forwarded-For: 2001:db8::1\r\n";
        let body = scene::registration(name);
        scene.post_by("/auth/register", headers, &body).await.status
    };
    let statuses = [
        register("one").await,
        register("two").await,
        register("three").await,
    ];
    assert_eq!(statuses, [201, 201, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_logins_leaves_room_for_the_rest() {
    let variables = [
        ("HASHING_CONCURRENCY", "1"),
        ("HASHING_WAITING", "2"),
        ("PASSWORD_ITERATIONS", "1000000"),
    ];
    let scene = Scene::new(&variables).await;
    scene.register("testuser").await;
    let (access, _) = scene.tokens("testuser").await;
    let mut answers = JoinSet::new();
    for number in 0..24 {
        let address: Address = scene.running.address().clone();
        answers.spawn(async move {
            let body = json!({ "email": format!("{number}@example.com"), "password": WRONG });
            let headers = "Content-Type: application/json\r\n";
            send(&address, "POST /auth/login", headers, &body.to_string()).await
        });
    }
    // While hashes are on their way, who has a session goes on.
    let (mut me, mut hashing) = (0, 0);
    let mut refused = 0;
    loop {
        tokio::select! {
            answer = answers.join_next() => match answer {
                None => break,
                Some(answer) => {
                    let answer = answer.unwrap();
                    if answer.status == 503 {
                        answer.is_problem(503, "busy");
                        assert!(answer.header("retry-after").is_some());
                        refused += 1;
                    } else {
                        answer.is_problem(401, "credentials-invalid");
                        hashing += 1;
                    }
                }
            },
            answer = scene.get("/auth/me", &access) => {
                assert_eq!(answer.status, 200, "{answer:?}");
                me += 1;
            }
        }
    }
    assert!(
        refused > 0 && hashing >= 3 && me > 0,
        "{refused} {hashing} {me}"
    );
    scene.tokens("testuser").await;
}

/// The program itself, with everything in its log.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged() {
    let (directory, cluster) = scene::cluster().await;
    let port = testbed::ports::free().unwrap();
    let mut spec = Spec::new("identity", env!("CARGO_BIN_EXE_identity"));
    let own = port.to_string();
    let more = [("LOG_LEVEL", "trace"), ("SERVICE_PORT", &*own)];
    for (name, value) in more {
        spec = spec.env(name, value);
    }
    for (name, value) in scene::variables(&cluster, &[]) {
        if !more.iter().any(|(known, _)| *known == name) {
            spec = spec.env(name, value);
        }
    }
    let mut process = Process::start(&spec, directory.path()).unwrap();
    let address = Address::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    };
    let ready = async || {
        let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
        Ok(connected.is_ok().then_some(()))
    };
    deadline::until("the service to listen", TIMEOUT, ready)
        .await
        .unwrap();
    let json_type = "Content-Type: application/json\r\n";
    let call = async |path: &str, body: serde_json::Value| {
        send(
            &address,
            &format!("POST {path}"),
            json_type,
            &body.to_string(),
        )
        .await
    };
    assert_eq!(
        call("/auth/register", scene::registration("testuser"))
            .await
            .status,
        201
    );
    let login = json!({ "email": "testuser@example.com", "password": PASSWORD });
    let (access, refresh) = pair(&call("/auth/login", login).await);
    let wrong = json!({ "email": "testuser@example.com", "password": WRONG });
    assert_eq!(call("/auth/login", wrong).await.status, 401);
    let me = async || {
        send(&address, "GET /auth/me", &bearer(&access), "")
            .await
            .status
    };
    assert_eq!(me().await, 200);
    for expected in [200, 401] {
        let answer = send(&address, "POST /auth/refresh", &bearer(&refresh), "").await;
        assert_eq!(answer.status, expected);
    }
    assert_eq!(me().await, 401);
    let link = "A-Token-Of-Nobody-At-All";
    let reset = json!({ "token": link, "new_password": WRONG });
    assert_eq!(
        call("/auth/password/reset/confirm", reset).await.status,
        400
    );
    assert_eq!(
        call("/auth/login", json!({ "email": 7, "password": [WRONG] }))
            .await
            .status,
        422
    );
    process.signal(Signal::Term);
    assert_eq!(process.wait(TIMEOUT).await.unwrap().code, 0);
    let log = std::fs::read_to_string(process.log()).unwrap();
    assert!(log.contains("a refresh token came a second time"), "{log}");
    let secrets = [
        PASSWORD,
        WRONG,
        &access,
        &refresh,
        link,
        scene::SECRET,
        "auth-key",
        "pbkdf2_",
        "testuser",
    ];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
