use axum::http::StatusCode;
use axum::response::IntoResponse;
use kit::database::Database;
use kit::idempotency::{
    Attempt, IdempotencyError, IdempotencyKey, KeyState, KeyedRequest, StoredResponse, begin, sweep,
};
use serde_json::json;
use std::time::Duration;

use crate::scene::{Scene, applied, count};

fn request(key: &str, body: &str) -> KeyedRequest {
    let key = IdempotencyKey::parse(key).unwrap();
    KeyedRequest::new("caller", "POST /orders", key, body.as_bytes())
}

async fn fresh(database: &Database, request: KeyedRequest) -> Attempt {
    match begin(database, request).await.unwrap() {
        KeyState::Fresh(attempt) => attempt,
        KeyState::Answered(answer) => panic!("answered: {answer:?}"),
    }
}

/// The server learns of the end of the last attempt a moment later.
async fn fresh_when_free(database: &Database, request: KeyedRequest) -> Attempt {
    testbed::deadline::until("the key", crate::scene::TIMEOUT, async || {
        match begin(database, request.clone()).await {
            Ok(KeyState::Fresh(attempt)) => Ok(Some(attempt)),
            Err(IdempotencyError::UnderWay) => Ok(None),
            other => panic!("{other:?}"),
        }
    })
    .await
    .unwrap()
}

async fn effect(attempt: &mut Attempt) {
    sqlx::query("insert into applied (key, what) values ('a', 1)")
        .execute(attempt.connection())
        .await
        .unwrap();
}

fn created() -> StoredResponse {
    StoredResponse::json(StatusCode::CREATED, &json!({ "id": 1 })).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_gets_the_same_answer_and_no_second_effect() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let mut attempt = fresh(&database, request("k", "one")).await;
    effect(&mut attempt).await;
    attempt.finish(created()).await.unwrap();

    let KeyState::Answered(answer) = begin(&database, request("k", "one")).await.unwrap() else {
        panic!("the effect was begun a second time");
    };
    assert!(answer.is_replayed());
    let response = answer.into_response();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["idempotent-replayed"], "true");
    let body = axum::body::to_bytes(response.into_body(), 1000)
        .await
        .unwrap();
    assert_eq!(body, json!({ "id": 1 }).to_string());

    let other = begin(&database, request("k", "two")).await;
    assert!(
        matches!(other, Err(IdempotencyError::OtherRequest)),
        "{other:?}"
    );
    // Another caller's key is another key.
    let key = IdempotencyKey::parse("k").unwrap();
    fresh(
        &database,
        KeyedRequest::new("another", "POST /orders", key, b"one"),
    )
    .await;
    assert_eq!(applied(&database, "a").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_is_under_way_the_next_is_refused_and_a_dropped_one_leaves_nothing() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let mut attempt = fresh(&database, request("k", "one")).await;
    effect(&mut attempt).await;
    for body in ["one", "two"] {
        let next = begin(&database, request("k", body)).await;
        assert!(matches!(next, Err(IdempotencyError::UnderWay)), "{next:?}");
    }
    drop(attempt);
    let mut attempt = fresh_when_free(&database, request("k", "two")).await;
    effect(&mut attempt).await;
    attempt.finish(created()).await.unwrap();
    assert_eq!(applied(&database, "a").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_has_the_effect() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let tries: Vec<_> = (0..24)
        .map(|_| {
            tokio::spawn({
                let database = database.clone();
                async move {
                    loop {
                        match begin(&database, request("k", "one")).await {
                            Ok(KeyState::Answered(answer)) => return answer.is_replayed(),
                            Ok(KeyState::Fresh(mut attempt)) => {
                                effect(&mut attempt).await;
                                return attempt.finish(created()).await.unwrap().is_replayed();
                            }
                            Err(IdempotencyError::UnderWay) => tokio::task::yield_now().await,
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            })
        })
        .collect();
    let mut first = 0;
    for one in tries {
        first += usize::from(!one.await.unwrap());
    }
    assert_eq!(first, 1);
    assert_eq!(applied(&database, "a").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_leaves_neither_effect_nor_record() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let mut attempt = fresh(&database, request("k", "one")).await;
    effect(&mut attempt).await;
    let ended = "select pg_terminate_backend(pid) from pg_stat_activity \
         where application_name = 'shop' and state = 'idle in transaction'";
    let superuser = scene.cluster.superuser("shop").await.unwrap();
    assert_eq!(superuser.query(ended, &[]).await.unwrap().len(), 1);
    assert!(attempt.finish(created()).await.is_err());
    assert_eq!(count(&database, "idempotency_records").await, 0);
    let mut attempt = fresh_when_free(&database, request("k", "one")).await;
    effect(&mut attempt).await;
    attempt.finish(created()).await.unwrap();
    assert_eq!(applied(&database, "a").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_record_answers_no_more_and_is_swept() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let expired = || request("k", "one").retained(Duration::ZERO);
    fresh(&database, expired())
        .await
        .finish(created())
        .await
        .unwrap();
    fresh(&database, request("l", "x"))
        .await
        .finish(created())
        .await
        .unwrap();
    // The key is free again, for another request too.
    fresh(&database, request("k", "two"))
        .await
        .finish(created())
        .await
        .unwrap();
    assert_eq!(sweep(&database, 100).await.unwrap(), 0);
    fresh(&database, request("m", "x").retained(Duration::ZERO))
        .await
        .finish(created())
        .await
        .unwrap();
    assert_eq!(sweep(&database, 100).await.unwrap(), 1);
    assert_eq!(count(&database, "idempotency_records").await, 2);
}
