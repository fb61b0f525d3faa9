//! What transactions and definitions do to a stream.

use crate::life::Life;
use anyhow::{Context, Result, ensure};
use protocol::Side;
use std::fmt::Write as _;

/// Columns of the widest table; PostgreSQL takes 1600 of them.
const WIDE_COLUMNS: usize = 900;

const MONOLITH: &str = "
    -- What is larger is written to the source's disk, and read again.
    alter database field_transactions set logical_decoding_work_mem = '64kB';
    create table t (id bigint primary key, v text, slot integer unique deferrable initially deferred);
    create table parent (id bigint primary key, v text);
    create table child (id bigint primary key, parent bigint references parent on delete cascade);
    create table shaped (gone1 text, b text, gone2 integer, a integer not null, k bigint primary key);
    insert into shaped (a, b, k) values (1, 'before', 1);
    alter table shaped drop gone1, drop gone2;
    alter table shaped add c text default 'c';
    create table computed (id bigint primary key, price numeric, count integer,
        total numeric generated always as (price * count) stored, note text);
    -- From 18 on PostgreSQL refuses updates then, unless the column is published.
    do $$ begin if current_setting('server_version_num')::integer < 180000 then
        alter table computed replica identity full; end if; end $$;
    insert into computed (id, price, count) values (1, 1.5, 2);
    create type public.state as enum ('new', 'paid');
    create table states (id bigint primary key, state public.state, history public.state[]);
    create table log (id bigint generated always as identity primary key, what text);
    create function logged() returns trigger language plpgsql as $$ begin
        insert into log (what) values (tg_op || ' ' || new.id); return new; end $$;
    create trigger logged before insert or update on t for each row execute function logged();
    create table elsewhere (id bigint primary key, v text);
";

const SERVICE: &str = "
    create schema svc;
    create table svc.t (id bigint primary key, v text, slot integer unique deferrable initially deferred);
    create table svc.parent (id bigint primary key, v text);
    create table svc.child (id bigint primary key, parent bigint references svc.parent on delete cascade);
    create table svc.shaped (k bigint primary key, gone text, a integer not null, c text default 'c', b text);
    alter table svc.shaped drop gone;
    create table svc.computed (note text, id bigint primary key, price numeric, count integer,
        total numeric generated always as (price * count) stored);
    create type public.state as enum ('new', 'paid');
    create table svc.states (id bigint primary key, state public.state, history public.state[]);
    create table svc.log (id bigint generated always as identity primary key, what text);
    create function svc.logged() returns trigger language plpgsql as $$ begin
        insert into svc.log (what) values ('twice ' || new.id); return new; end $$;
    create trigger logged before insert or update on svc.t for each row execute function svc.logged();
";

const TABLES: [&str; 8] = [
    "t", "parent", "child", "shaped", "computed", "states", "log", "wide",
];

fn rows(schema: &str) -> String {
    format!(
        "select 1, id::text, v || ' ' || coalesce(slot::text, '-') from {schema}.t
         union all select 2, id::text, v from {schema}.parent
         union all select 3, id::text, parent::text from {schema}.child
         union all select 4, k::text, row(a, b, c)::text from {schema}.shaped
         union all select 5, id::text, row(price, count, total, note)::text from {schema}.computed
         union all select 6, id::text, row(state, history)::text from {schema}.states
         union all select 7, id::text, what from {schema}.log
         union all select 8, id::text, row(c1, c{WIDE_COLUMNS})::text from {schema}.wide
         order by 1, 2, 3"
    )
}

async fn same(life: &Life, owner: Side) -> Result<()> {
    life.same(owner, &rows("public"), &rows("svc")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions() -> Result<()> {
    let mut columns = String::new();
    for at in 1..=WIDE_COLUMNS {
        // Writing to a string cannot fail.
        let _ = write!(columns, ", c{at} integer");
    }
    let wide =
        |schema: &str| format!("create table {schema}.wide (id bigint primary key{columns});");
    let tables = TABLES.map(|name| format!("public.{name}: {{}}"));
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let monolith = format!(
        "{MONOLITH} {} insert into wide (id, c1) values (1, 1)",
        wide("public")
    );
    let service = format!("{SERVICE} {}", wide("svc"));
    let mut life = Life::begin("field_transactions", &monolith, &service, &tables).await?;
    columns_that_were_dropped_and_stand_elsewhere(&life).await?;
    savepoints_and_subtransactions(&life).await?;
    what_two_phases_commit(&life).await?;
    unique_values_swapped_under_a_deferred_constraint(&life).await?;
    truncation_that_cascades(&life).await?;
    columns_that_are_computed(&life).await?;
    a_label_that_one_side_has_first(&life).await?;
    a_table_of_many_columns(&life).await?;
    what_is_not_ours(&life).await?;
    triggers_of_the_target_do_not_fire(&life).await?;
    life.verified(Side::Monolith).await?;
    the_same_on_the_way_back(&mut life).await?;
    life.verified(Side::Monolith).await?;
    Ok(())
}

/// Positions of columns differ from numbers, and on both sides.
async fn columns_that_were_dropped_and_stand_elsewhere(life: &Life) -> Result<()> {
    life.app(Side::Monolith)
        .batch_execute(
            "insert into shaped (k, a, b) values (2, 2, 'followed'); update shaped set b = 'b', c = null where k = 1; \
             update shaped set k = 10 where k = 2; delete from shaped where k = 1",
        )
        .await?;
    same(life, Side::Monolith).await
}

/// More of them than a backend keeps in mind, and more rows than decoding keeps
/// in memory.
async fn savepoints_and_subtransactions(life: &Life) -> Result<()> {
    life.app(Side::Monolith)
        .batch_execute(
            "begin; insert into t select n, 'kept', n from generate_series(1, 500) n; \
             savepoint a; insert into t select n, 'lost', n from generate_series(501, 1500) n; update t set v = 'lost'; \
             rollback to a; insert into t select n, 'kept too', n from generate_series(501, 505) n; \
             savepoint b; delete from t where id between 100 and 200; savepoint c; delete from t; \
             rollback to c; release b; \
             do $$ begin for n in 1..150 loop \
                 begin \
                     update t set v = v || ' ' || n where id = n; \
                     if n % 3 = 0 then raise 'lost'; end if; \
                 exception when raise_exception then null; end; \
             end loop; end $$; commit; \
             begin; insert into t values (9999, 'never', null); savepoint d; rollback",
        )
        .await?;
    same(life, Side::Monolith).await?;
    ensure!(life.verified(Side::Monolith).await? > 400);
    Ok(())
}

/// Prepared, other transactions, committed: in the order of the commits. And one
/// that is never.
async fn what_two_phases_commit(life: &Life) -> Result<()> {
    let app = life.app(Side::Monolith);
    app.batch_execute(
        "begin; insert into parent values (1, 'prepared'); update t set v = 'prepared' where id = 1; \
         prepare transaction 'field_one'",
    )
    .await?;
    app.batch_execute(
        "begin; insert into parent values (2, 'never'); prepare transaction 'field_two'",
    )
    .await?;
    app.batch_execute("update t set v = 'between' where id = 2")
        .await?;
    life.caught_up(Side::Monolith).await?;
    let names = life
        .pair
        .lines(Side::Service, "select v from svc.parent")
        .await?;
    ensure!(names.is_empty(), "{names:?}");
    app.batch_execute("commit prepared 'field_one'").await?;
    app.batch_execute("rollback prepared 'field_two'").await?;
    same(life, Side::Monolith).await?;
    let names = life
        .pair
        .lines(Side::Service, "select v from svc.parent")
        .await?;
    ensure!(names == ["(prepared)"], "{names:?}");
    Ok(())
}

async fn unique_values_swapped_under_a_deferred_constraint(life: &Life) -> Result<()> {
    life.app(Side::Monolith)
        .batch_execute(
            "begin; update t set slot = 2 where id = 1; update t set slot = 1 where id = 2; commit; \
             update t set slot = 1000 - slot where id <= 99",
        )
        .await?;
    same(life, Side::Monolith).await
}

async fn truncation_that_cascades(life: &Life) -> Result<()> {
    let app = life.app(Side::Monolith);
    app.batch_execute(
        "insert into parent values (3, 'x'); insert into child values (1, 3), (2, 1)",
    )
    .await?;
    same(life, Side::Monolith).await?;
    app.batch_execute(
        "begin; insert into child values (3, 3); truncate parent cascade; \
         insert into parent values (4, 'after'); insert into child values (4, 4); commit",
    )
    .await?;
    same(life, Side::Monolith).await?;
    let left = "select (select count(*) from svc.parent), (select count(*) from svc.child)";
    ensure!(life.pair.lines(Side::Service, left).await? == ["(1,1)"]);
    app.batch_execute("delete from parent").await?;
    same(life, Side::Monolith).await
}

/// They are not sent, and the target computes its own; also where the whole old
/// row identifies the new one.
async fn columns_that_are_computed(life: &Life) -> Result<()> {
    life.app(Side::Monolith)
        .batch_execute(
            "insert into computed (id, price, count) values (2, 2.50, 4), (3, null, 1); \
             update computed set count = 10; update computed set id = 20, note = 'n' where id = 2; \
             delete from computed where id = 3",
        )
        .await?;
    same(life, Side::Monolith).await?;
    let totals = life
        .pair
        .lines(Side::Service, "select total from svc.computed order by id")
        .await?;
    ensure!(totals == ["(15.0)", "(25.00)"], "{totals:?}");
    Ok(())
}

/// The stream stands still until the target has it too, and loses nothing. One that
/// only the target has is in nobody's way.
async fn a_label_that_one_side_has_first(life: &Life) -> Result<()> {
    let app = life.app(Side::Monolith);
    life.app(Side::Service)
        .batch_execute("alter type public.state add value 'early'")
        .await?;
    app.batch_execute("alter type public.state add value 'lost' before 'paid'")
        .await?;
    app.batch_execute(
        "insert into states values (1, 'new', '{new}'); insert into states values (2, 'lost', '{new,lost}'); \
         update states set history = history || 'paid'::public.state where id = 1",
    )
    .await?;
    let error = life.fails_with(Side::Monolith, "add value").await?;
    let statement = error.split('`').nth(1).context("no statement")?;
    life.app(Side::Service).batch_execute(statement).await?;
    life.resume(Side::Monolith);
    life.caught_up(Side::Monolith).await?;
    app.batch_execute("alter type public.state add value 'early'")
        .await?;
    same(life, Side::Monolith).await
}

async fn a_table_of_many_columns(life: &Life) -> Result<()> {
    life.app(Side::Monolith)
        .batch_execute(&format!(
            "insert into wide (id, c1, c{WIDE_COLUMNS}) values (2, 2, 2); \
             insert into wide (id, c{WIDE_COLUMNS}) select n, n from generate_series(3, 100) n; \
             update wide set c{WIDE_COLUMNS} = 7 where id = 1; update wide set id = 200 where id = 2"
        ))
        .await?;
    same(life, Side::Monolith).await
}

/// Other tables, temporary and unlogged ones, indexes, views, messages.
async fn what_is_not_ours(life: &Life) -> Result<()> {
    let app = life.app(Side::Monolith);
    for statement in [
        "begin; create temporary table scratch (x integer) on commit drop; insert into scratch values (1); \
         insert into elsewhere values (1, 'x'); insert into t values (7001, 'with others', null); commit",
        "create unlogged table fast (id bigint primary key); insert into fast values (1)",
        "create index on t (v); create materialized view seen as select count(*) from t; refresh materialized view seen",
        "begin; select pg_logical_emit_message(true, 'somebody', 'x'); select pg_logical_emit_message(false, 'banyan', 'x'); rollback",
        "alter table elsewhere replica identity nothing; truncate elsewhere",
        "vacuum (full) elsewhere",
    ] {
        app.batch_execute(statement).await.context(statement)?;
    }
    same(life, Side::Monolith).await
}

/// What the monolith's trigger wrote came as a row; the service's has written
/// nothing.
async fn triggers_of_the_target_do_not_fire(life: &Life) -> Result<()> {
    let count = "select count(*) from svc.log where what like 'twice%'";
    ensure!(life.pair.lines(Side::Service, count).await? == ["(0)"]);
    let count = "select count(*) > 500 from svc.log";
    ensure!(life.pair.lines(Side::Service, count).await? == ["(t)"]);
    Ok(())
}

async fn the_same_on_the_way_back(life: &mut Life) -> Result<()> {
    life.hand_over(Side::Monolith).await?;
    life.app(Side::Service)
        .batch_execute(
            "begin; update svc.t set v = 's' where id < 50; savepoint a; delete from svc.t; rollback to a; \
             insert into svc.t values (8001, 'of the service', null); commit; \
             insert into svc.parent values (9, 'p'); insert into svc.child values (9, 9); \
             update svc.shaped set b = null; insert into svc.computed (id, price, count) values (30, 3, 3); \
             update svc.computed set price = price + 1; update svc.states set state = 'lost', history = '{lost}'; \
             update svc.wide set c1 = 3 where id < 50",
        )
        .await?;
    same(life, Side::Service).await?;
    let ids = "select max(id) > 500 from public.log";
    ensure!(life.pair.lines(Side::Monolith, ids).await? == ["(t)"]);
    life.app(Side::Service)
        .batch_execute("truncate svc.parent cascade")
        .await?;
    same(life, Side::Service).await?;
    life.hand_over(Side::Service).await?;
    life.app(Side::Monolith)
        .batch_execute("insert into t values (8002, 'home again', null)")
        .await?;
    same(life, Side::Monolith).await
}
