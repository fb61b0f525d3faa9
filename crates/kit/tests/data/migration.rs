use kit::database::{Database, migrate};
use sqlx::Executor;

use crate::scene::{Scene, count, migrator};

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_start_at_once_one_migrates() {
    let scene = Scene::new().await;
    let settings = scene.settings();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let settings = settings.clone();
                async move { migrate(&settings, migrator()).await }
            })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
    let database = Database::new(&settings);
    assert!(database.is_ready().await);
    assert_eq!(count(&database, "_migrations").await, 1);
    assert_eq!(count(&database, "applied").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_own_the_tables_works_but_does_not_change_them() {
    let scene = Scene::new().await;
    let settings = scene.divided_settings();
    migrate(&settings, migrator()).await.unwrap();
    // A second start grants nothing twice that it may not.
    migrate(&settings, migrator()).await.unwrap();
    let database = Database::new(&settings);
    let pool = database.pool();
    pool.execute("insert into applied (key, what) values ('a', 1)")
        .await
        .unwrap();
    pool.execute("update applied set what = 2").await.unwrap();
    pool.execute("delete from applied").await.unwrap();
    for refused in [
        "drop table applied",
        "create table other ()",
        "alter table ledger disable trigger append_only",
        "update ledger set payload = ''",
        "delete from ledger",
        "truncate ledger",
    ] {
        let error = pool.execute(refused).await.unwrap_err();
        let code = error
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned();
        assert_eq!(code, "42501", "{refused}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_not_ready_and_comes_back() {
    let mut scene = Scene::new().await;
    let database = scene.database().await;
    assert!(database.is_ready().await);
    scene.cluster.kill().await;
    assert!(!database.is_ready().await);
    scene.cluster.start().await.unwrap();
    assert!(database.is_ready().await);
}
