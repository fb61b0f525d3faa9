use kit::database::commit;
use kit::ledger::{
    Aggregate, BrokenChain, ExpectedVersion, LedgerError, StreamHead, append, append_to, head,
    load, read, verify,
};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;

use crate::scene::Scene;

#[derive(Debug, Default, PartialEq)]
struct Account {
    balance: i64,
    closed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum AccountEvent {
    Deposited { amount: i64 },
    Closed,
}

impl Aggregate for Account {
    const KIND: &'static str = "account";
    type Event = AccountEvent;

    fn evolve(self, event: AccountEvent) -> Self {
        match event {
            AccountEvent::Deposited { amount } => Self {
                balance: self.balance + amount,
                ..self
            },
            AccountEvent::Closed => Self {
                closed: true,
                ..self
            },
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_that_read_the_same_version_one_appends() {
    const WRITERS: i64 = 12;
    let scene = Scene::new().await;
    let database = scene.database().await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut conflicts = 0;
                loop {
                    let mut transaction = database.begin().await.unwrap();
                    let (_, version) = load::<Account>(&mut transaction, "7").await.unwrap();
                    let events = [AccountEvent::Deposited { amount: 1 }];
                    match append_to::<Account>(&mut transaction, "7", version, &events).await {
                        Ok(_) => {
                            commit(transaction).await.unwrap();
                            return conflicts;
                        }
                        Err(LedgerError::Conflict { .. }) => conflicts += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    let mut conflicts = 0;
    for writer in writers {
        conflicts += writer.await.unwrap();
    }
    let mut connection = database.pool().acquire().await.unwrap();
    let events = [AccountEvent::Closed];
    append_to::<Account>(&mut connection, "7", WRITERS, &events)
        .await
        .unwrap();
    let account = load::<Account>(&mut connection, "7").await.unwrap();
    let expected = Account {
        balance: WRITERS,
        closed: true,
    };
    assert_eq!(account, (expected, WRITERS + 1));
    assert!(conflicts > 0, "nobody met anybody: the test shows nothing");
    let (nobody, version) = load::<Account>(&mut connection, "8").await.unwrap();
    assert_eq!((nobody, version), (Account::default(), 0));
    let records = read(&mut connection, "account/7", WRITERS, 10)
        .await
        .unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].kind.as_str(), records[0].payload.as_str()),
        ("Closed", "\"Closed\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_takes_all_writers_and_tells_what_was_done_to_it() {
    let scene = Scene::new().await;
    let database = scene.database().await;
    let writers: Vec<_> = (0..10)
        .map(|number| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut transaction = database.begin().await.unwrap();
                append(&mut transaction, "audit", ExpectedVersion::Any, &[number])
                    .await
                    .unwrap();
                commit(transaction).await.unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut connection = database.pool().acquire().await.unwrap();
    let known = verify(&mut connection, "audit", None).await.unwrap();
    assert_eq!(known.version, 10);
    assert_eq!(head(&mut connection, "audit").await.unwrap(), known);
    assert_eq!(
        head(&mut connection, "other").await.unwrap(),
        StreamHead::NONE
    );

    for refused in [
        "update ledger set payload = '0'",
        "delete from ledger",
        "truncate ledger",
    ] {
        let error = sqlx::query(AssertSqlSafe(refused))
            .execute(&mut *connection)
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("append-only"),
            "{refused}: {error}"
        );
    }

    // Whoever owns the table and means it gets past the trigger, and is found.
    let superuser = scene.cluster.superuser("shop").await.unwrap();
    superuser
        .batch_execute(
            "alter table shop_service.ledger disable trigger append_only; \
             create table shop_service.copy as table shop_service.ledger",
        )
        .await
        .unwrap();
    for (change, broken) in [
        (
            "update ledger set payload = '99' where version = 4",
            BrokenChain::Changed(4),
        ),
        (
            "update ledger set at = at + 1 where version = 4",
            BrokenChain::Changed(4),
        ),
        (
            "delete from ledger where version = 4",
            BrokenChain::Missing(4),
        ),
        (
            "delete from ledger where version > 8",
            BrokenChain::Missing(9),
        ),
        ("delete from ledger", BrokenChain::Missing(1)),
    ] {
        let sql = format!("set search_path = shop_service; {change}");
        superuser.batch_execute(&sql).await.unwrap();
        match verify(&mut connection, "audit", Some(known)).await {
            Err(LedgerError::Tampered { broken: found, .. }) => {
                assert_eq!(found, broken, "{change}");
            }
            other => panic!("{change}: {other:?}"),
        }
        let restore = "delete from ledger; insert into ledger table copy";
        superuser.batch_execute(restore).await.unwrap();
    }
    assert_eq!(
        verify(&mut connection, "audit", Some(known)).await.unwrap(),
        known
    );
    // Written anew from the start, in itself it is whole.
    superuser.batch_execute("delete from ledger").await.unwrap();
    for number in 0..10 {
        append(
            &mut connection,
            "audit",
            ExpectedVersion::Any,
            &[number + 1],
        )
        .await
        .unwrap();
    }
    assert!(verify(&mut connection, "audit", None).await.is_ok());
    assert!(verify(&mut connection, "audit", Some(known)).await.is_err());
}
