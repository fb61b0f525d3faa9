//! The rights that our role lacks on a side, as the statements that give them.
//!
//! For a role that had them all when the extraction began, and lost one since:
//! whatever fails then names a table or a schema, and not what is to be done.

use super::{facts::FUNCTIONS, server::GRANTS_OF_PARAMETERS};
use crate::{database::session::Session, error::MoverError, extraction::Mover};
use protocol::Side;
use std::time::Duration;

/// For the look at one side; what failed was answered, so it is there.
const LIMIT: Duration = Duration::from_secs(10);

/// The first version in which a grant says whether it is inherited.
const INHERITANCE_BY_GRANT: i32 = 160_000;

const OF_ROLE: &str = "select format('alter role %I replication', r.rolname) \
        from pg_roles r where r.rolname = session_user \
          and not (r.rolsuper or r.rolreplication or exists (select from pg_roles m \
            where m.rolname = 'rds_replication' and pg_has_role(r.oid, m.oid, 'member'))) \
    union all select format('grant create on database %I to %I', current_database(), session_user) \
        where not has_database_privilege(current_database(), 'CREATE') \
    union all select format('grant execute on function pg_catalog.%s to %I', f, session_user) \
        from unnest($1::text[]) f \
        where to_regprocedure('pg_catalog.' || f) is not null \
          and not has_function_privilege('pg_catalog.' || f, 'EXECUTE')";

const OF_PARAMETER: &str = "select format('grant set on parameter session_replication_role to %I', session_user) \
    where not has_parameter_privilege('session_replication_role', 'SET')";

/// Of the moved tables; what the owner's role would bring is not asked for beside it.
/// The rights of a superuser are given to nobody: such a table changes its owner.
const OF_OWNERS: &str = "select distinct case \
            when exists (select from pg_roles r \
                    where r.rolsuper and pg_has_role(c.relowner, r.oid, 'MEMBER')) \
                then format('alter table %1$I.%2$I owner to %3$I; grant %3$I to %4$I', \
                    n.nspname, c.relname, session_user, pg_get_userbyid(c.relowner)) \
            when not pg_has_role(c.relowner, 'MEMBER') or $3 \
                then format('grant %I to %I', pg_get_userbyid(c.relowner), session_user) \
                    || case when pg_has_role(c.relowner, 'MEMBER') then ' with inherit true' else '' end \
            else format('alter role %I inherit', session_user) end \
    from unnest($1::text[], $2::text[]) t(schema, name) \
    join pg_namespace n on n.nspname = t.schema \
    join pg_class c on c.relnamespace = n.oid and c.relname = t.name \
    where not pg_has_role(c.relowner, 'USAGE')";

const OF_TABLES: &str = "with moved as (\
        select n.oid as namespace, n.nspname, c.oid, c.relname \
        from unnest($1::text[], $2::text[]) t(schema, name) \
        join pg_namespace n on n.nspname = t.schema \
        join pg_class c on c.relnamespace = n.oid and c.relname = t.name), \
    staying as (\
        select distinct n.oid as namespace, n.nspname, c.oid, c.relname \
        from pg_constraint k join pg_class c on c.oid = k.conrelid \
        join pg_namespace n on n.oid = c.relnamespace \
        where k.contype = 'f' and k.confrelid in (select oid from moved) \
          and k.conrelid not in (select oid from moved)) \
    select distinct format('grant usage on schema %I to %I', nspname, session_user) \
        from (table moved union all table staying) s where not has_schema_privilege(namespace, 'USAGE') \
    union all select format('grant %s on table %I.%I to %I', \
            array_to_string(array(select p from unnest(array['select', 'insert', 'update', 'delete', \
                'truncate']) p where not has_table_privilege(oid, p)), ', '), \
            nspname, relname, session_user) \
        from moved where exists (select from unnest(array['select', 'insert', 'update', 'delete', \
                'truncate']) p where not has_table_privilege(oid, p)) \
    union all select format('grant select on table %I.%I to %I', nspname, relname, session_user) \
        from staying where not has_table_privilege(oid, 'SELECT')";

impl Mover {
    /// An error, with the statements that mend it where it comes from a right that
    /// our role lacks and they can be found.
    pub async fn with_grants(&self, error: MoverError) -> MoverError {
        let Some(side) = error.lacks_rights() else {
            return error;
        };
        // Its session may have been ended with the one that has just failed.
        for _ in 0..2 {
            let looking = tokio::time::timeout(LIMIT, Box::pin(self.missing_rights(side)));
            match looking.await {
                Ok(Ok(grants)) if !grants.is_empty() => {
                    return MoverError::Rights {
                        side,
                        problem: error.to_string(),
                        grants: grants.join("; "),
                    };
                }
                Ok(Err(_)) => {}
                Ok(Ok(_)) | Err(_) => break,
            }
        }
        // What is wrong is known; this only looked for more.
        error
    }

    async fn missing_rights(&self, side: Side) -> Result<Vec<String>, MoverError> {
        let wrap = || MoverError::sql(side, "looking for rights that are missing");
        let session = Session::open(side, self.database(side)).await?;
        let version = "select current_setting('server_version_num')::integer";
        let version: i32 = session
            .query_one(version, &[])
            .await
            .map_err(wrap())?
            .get(0);
        let (schemas, names): (Vec<&str>, Vec<&str>) = self
            .tables(side)
            .map(|table| (table.schema.as_str(), table.table.as_str()))
            .unzip();
        let by_grant = version >= INHERITANCE_BY_GRANT;
        let mut rows = session
            .query(OF_ROLE, &[&FUNCTIONS.as_slice()])
            .await
            .map_err(wrap())?;
        if version >= GRANTS_OF_PARAMETERS {
            rows.extend(session.query(OF_PARAMETER, &[]).await.map_err(wrap())?);
        }
        let owners = session
            .query(OF_OWNERS, &[&schemas, &names, &by_grant])
            .await
            .map_err(wrap())?;
        if owners.is_empty() {
            let tables = session.query(OF_TABLES, &[&schemas, &names]).await;
            rows.extend(tables.map_err(wrap())?);
        }
        rows.extend(owners);
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
