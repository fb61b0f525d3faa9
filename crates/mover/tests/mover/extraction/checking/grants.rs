//! Each right that the mover's role needs, taken away in turn: `check` names it,
//! and what it prints gives it back.

use super::{MONOLITH, SERVICE, TABLES, findings};
use crate::extraction::databases::{pair_alone, show, statements};
use anyhow::{Context, Result, ensure};
use protocol::{
    Side::{self, Monolith, Service},
    finding::{Finding, FindingId, Severity},
};

/// What takes a right away, in `{database}`, and what is said then.
struct Right {
    sides: &'static [Side],
    take: &'static str,
    said: &'static str,
}

/// A schema of somebody else's, with our name.
const SCHEMA: Right = right(
    BOTH,
    "create schema banyan",
    "belongs to testbed, and role banyan_mover may not do as its owner",
);

/// What its remedy is undone by, which gives the role every other right.
const SCHEMA_AGAIN: &str = "drop schema banyan; revoke testbed from banyan_mover";

const BOTH: &[Side] = &[Monolith, Service];

const fn right(sides: &'static [Side], take: &'static str, said: &'static str) -> Right {
    Right { sides, take, said }
}

/// From version 16 on each membership says whether it is inherited, before that the role.
const NOT_INHERITED: &str = "
    do $$ begin
        if current_setting('server_version_num')::integer >= 160000 then
            execute 'revoke inherit option for app from banyan_mover';
        else
            alter role banyan_mover noinherit;
        end if;
    end $$";

const RIGHTS: &[Right] = &[
    right(BOTH, "alter role banyan_mover noreplication", "REPLICATION"),
    right(BOTH, NOT_INHERITED, "may not do as its owner"),
    right(
        BOTH,
        "revoke app from banyan_mover",
        "may not do as its owner",
    ),
    right(
        BOTH,
        "alter database {database} owner to current_user; \
         revoke create on database {database} from banyan_mover",
        "may not create",
    ),
    right(
        BOTH,
        "revoke set on parameter session_replication_role from banyan_mover",
        "session_replication_role",
    ),
    right(
        &[Monolith],
        "alter table stays owner to current_user",
        "role banyan_mover may not read it",
    ),
    right(
        &[Service],
        "alter schema svc owner to current_user; \
         revoke usage on schema svc from app, banyan_mover",
        "may not do as its owner",
    ),
    // What gives it back gives nobody a superuser's rights.
    right(
        &[Monolith],
        "alter table a owner to current_user",
        "may not do as its owner",
    ),
    right(
        &[Service],
        "alter table svc.b owner to current_user",
        "may not do as its owner",
    ),
];

/// Those that only a superuser may call unless they are granted; the same on
/// both sides.
const FUNCTIONS: &[&str] = &[
    "pg_replication_origin_create(text)",
    "pg_replication_origin_drop(text)",
    "pg_replication_origin_oid(text)",
    "pg_replication_origin_session_setup(text)",
    "pg_replication_origin_session_reset()",
    "pg_replication_origin_xact_setup(pg_lsn,timestamp with time zone)",
    "pg_replication_origin_xact_reset()",
    "pg_control_system()",
];

fn refusals(findings: Vec<Finding>) -> Vec<Finding> {
    let refuse = |one: &Finding| one.severity == Severity::Refuse;
    findings.into_iter().filter(refuse).collect()
}

#[tokio::test]
async fn each_right_that_is_missing_is_named_and_given_back_by_what_is_printed() -> Result<()> {
    // Roles are those of all databases of a cluster.
    let (_clusters, pair) = pair_alone("check_rights", MONOLITH, SERVICE, TABLES).await?;
    let rights = RIGHTS.iter().chain([&SCHEMA]).map(|right| {
        let take = right.take.replace("{database}", &pair.database);
        (right.sides, take, right.said)
    });
    let functions = FUNCTIONS.iter().map(|function| {
        let take = format!("revoke execute on function {function} from public, banyan_mover");
        (&[Monolith][..], take, *function)
    });
    ensure!(refusals(findings(&pair).await?).is_empty());
    for (sides, take, said) in functions.chain(rights) {
        for side in sides {
            let admin = pair.superuser(*side).await?;
            admin
                .batch_execute(&take)
                .await
                .with_context(|| take.clone())?;
            let found = refusals(findings(&pair).await?);
            let case = format!("{side}: {take}: {}", show(&found));
            ensure!(found.iter().any(|one| one.problem.contains(said)), "{case}");
            for one in &found {
                let mend = statements(one)?;
                ensure!(!mend.contains("grant testbed"), "{case}: {mend}");
                admin
                    .batch_execute(&mend)
                    .await
                    .with_context(|| format!("{case}: {mend}"))?;
            }
            let found = refusals(findings(&pair).await?);
            ensure!(found.is_empty(), "after {case}: {}", show(&found));
            if take == SCHEMA.take {
                admin.batch_execute(SCHEMA_AGAIN).await?;
            }
        }
    }
    // Amazon gives the right by a role of its own. This server goes by the attribute,
    // and refuses the connection.
    let admin = pair.superuser(Monolith).await?;
    let amazon = "create role rds_replication; alter role banyan_mover noreplication; \
                  grant rds_replication to banyan_mover";
    admin.batch_execute(amazon).await?;
    let found = findings(&pair).await?;
    ensure!(
        found
            .iter()
            .all(|one| one.id != FindingId::NoReplicationRight),
        "{}",
        show(&found)
    );
    let ours = "alter role banyan_mover replication; drop role rds_replication";
    admin.batch_execute(ours).await?;
    // What was given back is enough: nothing else is found when it begins.
    pair.prepare_and_copy().await?;
    Ok(())
}
