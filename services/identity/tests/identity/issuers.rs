//! Two issuers of sessions for the same users, each the other's: what the
//! monolith is to the service, another instance with a database of its own is
//! here.

use kit::server::Running;
use serde_json::{Value, json};
use testbed::ports;
use testbed::raw_http::Answer;

use crate::scene::{self, PASSWORD, Scene, bearer, pair};

/// What each shows the other.
const KEY: &str = "X-API-Key: auth-key\r\n";

struct Issuers {
    one: Scene,
    other: Scene,
    ports: [u16; 2],
}

fn variables(own: u16, other: u16, key: &str) -> Vec<(String, String)> {
    let own = own.to_string();
    let other = format!("http://127.0.0.1:{other}");
    let names = ["SERVICE_PORT", "LEGACY_AUTH_URL", "LEGACY_AUTH_API_KEY"];
    let names = names.map(str::to_owned).into_iter();
    names.zip([own, other, key.to_owned()]).collect()
}

fn as_text(variables: &[(String, String)]) -> Vec<(&str, &str)> {
    let all = variables.iter();
    all.map(|(name, value)| (&**name, &**value)).collect()
}

impl Issuers {
    async fn new(key: &str) -> Self {
        let ports = [ports::free().unwrap(), ports::free().unwrap()];
        let one = Scene::new(&as_text(&variables(ports[0], ports[1], key))).await;
        let other = Scene::new(&as_text(&variables(ports[1], ports[0], "auth-key"))).await;
        one.register("testuser").await;
        let this = Self { one, other, ports };
        this.replicate().await;
        this
    }

    /// What the mover does.
    async fn replicate(&self) {
        let rows = "select string_agg(format('insert into auth_user select (%L::auth_user).* \
             on conflict (id) do update set password = excluded.password', u), ';') \
             from auth_user u";
        self.other.sql(&self.one.text(rows).await).await;
    }

    async fn restart_other(&mut self) {
        let variables = variables(self.ports[1], self.ports[0], "auth-key");
        self.other.running = scene::start(&self.other.cluster, &as_text(&variables)).await;
    }
}

/// Something in place of a service that was stopped.
async fn nobody(scene: &mut Scene) {
    let elsewhere = scene::start(&scene.cluster, &[]).await;
    let stopped: Running = std::mem::replace(&mut scene.running, elsewhere);
    stopped.stop().await;
}

async fn claim(scene: &Scene, token: &str) -> Value {
    let body = json!({ "refresh_token": token });
    let answer = scene.post_by("/auth/sessions/claim", KEY, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn logout(scene: &Scene, access: &str) -> Answer {
    scene.send("POST /auth/logout", &bearer(access), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_good_at_both_and_ends_at_both() {
    let Issuers { one, other, .. } = Issuers::new("auth-key").await;
    let (access, first) = one.tokens("testuser").await;
    assert_eq!(other.get("/auth/me", &access).await.status, 200);
    let (_, second) = pair(&other.refresh(&first).await);
    let (access, third) = pair(&one.refresh(&second).await);
    assert_eq!(logout(&other, &access).await.status, 204);
    for side in [&one, &other] {
        side.get("/auth/me", &access)
            .await
            .is_problem(401, "session-ended");
        side.refresh(&third).await.is_problem(401, "session-ended");
    }
    // Both logs are whole, and tell of it.
    for side in [&one, &other] {
        let verified = side.send("GET /auth/audit/verify", KEY, "").await;
        assert_eq!(verified.json()["whole"], true);
    }
    let kinds = other
        .text("select string_agg(kind, ' ' order by version) from ledger where stream = 'audit'")
        .await;
    assert!(kinds.contains("SessionTakenOver"), "{kinds}");
}

/// Shows a token until somebody knows.
async fn insistent(scene: &Scene, token: &str) -> Answer {
    let shown = async || {
        let answer = scene.refresh(token).await;
        Ok((answer.status != 503).then_some(answer))
    };
    let answer = testbed::deadline::until("an answer", scene::TIMEOUT, shown);
    answer.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_up_once_in_all() {
    let Issuers { one, other, .. } = Issuers::new("auth-key").await;
    // At once at both: one of them is a replay, and so ends the session; perhaps
    // before the other one was answered.
    for _ in 0..5 {
        let (access, token) = one.tokens("testuser").await;
        let (here, there) = tokio::join!(insistent(&one, &token), insistent(&other, &token));
        let good = [&here, &there].into_iter().filter(|one| one.status == 200);
        assert!(good.count() <= 1, "{here:?} {there:?}");
        let next = [here, there].into_iter().find(|one| one.status == 200);
        for side in [&one, &other] {
            assert_eq!(side.get("/auth/me", &access).await.status, 401);
            if let Some(next) = &next {
                assert_eq!(side.refresh(&pair(next).1).await.status, 401);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_without_an_answer_costs_nothing() {
    let Issuers { one, other, .. } = Issuers::new("auth-key").await;
    // The other one has asked, and died before it answered its client.
    let (_, token) = one.tokens("testuser").await;
    for _ in 0..2 {
        assert_eq!(claim(&one, &token).await["state"], "good");
    }
    // The client comes again, there or here.
    let (_, next) = pair(&other.refresh(&token).await);
    let (_, token) = pair(&other.refresh(&next).await);
    assert_eq!(claim(&other, &token).await["state"], "good");
    // Whoever has claimed it may be about to answer.
    other.refresh(&token).await.is_problem(503, "unavailable");
    let later =
        "update refresh_token set used_at = used_at - interval '2 minutes' where is_claimed";
    other.sql(later).await;
    let (access, _) = pair(&other.refresh(&token).await);
    assert_eq!(one.get("/auth/me", &access).await.status, 200);
    // Now it was answered for.
    assert_eq!(claim(&other, &token).await["state"], "replayed");
    assert_eq!(other.get("/auth/me", &access).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_other_is_away_nobody_is_told_to_log_in_again() {
    let mut issuers = Issuers::new("auth-key").await;
    let (known, known_token) = issuers.other.tokens("testuser").await;
    assert_eq!(issuers.one.get("/auth/me", &known).await.status, 200);
    let (unknown, token) = issuers.other.tokens("testuser").await;
    nobody(&mut issuers.other).await;
    let one = &issuers.one;
    // What was taken over goes on; what was not is not denied.
    assert_eq!(one.get("/auth/me", &known).await.status, 200);
    one.get("/auth/me", &unknown)
        .await
        .is_problem(503, "unavailable");
    one.refresh(&token).await.is_problem(503, "unavailable");
    // It could not be ended at both.
    logout(one, &known).await.is_problem(503, "unavailable");
    assert_eq!(one.get("/auth/me", &known).await.status, 200);
    issuers.restart_other().await;
    let one = &issuers.one;
    let back = async || {
        let answer = one.get("/auth/me", &unknown).await;
        Ok((answer.status == 200).then_some(()))
    };
    testbed::deadline::until("the other issuer", scene::TIMEOUT, back)
        .await
        .unwrap();
    assert_eq!(one.refresh(&token).await.status, 200);
    assert_eq!(one.refresh(&known_token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_no_reason_to_log_in_again() {
    let Issuers { one, other, .. } = Issuers::new("another key").await;
    let (access, _) = other.tokens("testuser").await;
    one.get("/auth/me", &access)
        .await
        .is_problem(503, "unavailable");
    let path = "/auth/sessions/00000000-0000-4000-8000-000000000000";
    let without = one.send(&format!("GET {path}"), "", "").await;
    without.is_problem(401, "credential-missing");
    let token = bearer(&one.tokens("testuser").await.0);
    let by_user = one.send(&format!("DELETE {path}"), &token, "").await;
    by_user.is_problem(401, "credential-missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_sessions_of_both_but_its_own() {
    let issuers = Issuers::new("auth-key").await;
    let Issuers { one, other, .. } = &issuers;
    let (own, own_token) = other.tokens("testuser").await;
    let (stale, stale_token) = other.tokens("testuser").await;
    assert_eq!(one.get("/auth/me", &stale).await.status, 200);
    let body = json!({ "current_password": PASSWORD, "new_password": "Another-Password-7" });
    let changed = one
        .post_by("/auth/password/change", &bearer(&own), &body)
        .await;
    assert_eq!(changed.status, 204, "{changed:?}");
    // One of both is behind: the other one has not heard of it yet.
    let fresh = one
        .login("testuser@example.com", "Another-Password-7")
        .await;
    let (fresh, _) = pair(&fresh);
    other
        .get("/auth/me", &fresh)
        .await
        .is_problem(503, "unavailable");
    issuers.replicate().await;
    for side in [one, other] {
        assert_eq!(side.get("/auth/me", &own).await.status, 200);
        assert_eq!(side.get("/auth/me", &fresh).await.status, 200);
        assert_eq!(side.get("/auth/me", &stale).await.status, 401);
    }
    assert_eq!(other.refresh(&stale_token).await.status, 401);
    assert_eq!(one.refresh(&own_token).await.status, 200);
}
