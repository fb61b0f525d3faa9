//! Our schema, where another role has made it: what is in it is that role's, and
//! preparing would end at the first statement.

use crate::{database::session::Session, error::MoverError};
use protocol::finding::{Finding, FindingId as Id, Remedy, Statement};

const OF_ANOTHER: &str = "select quote_ident(pg_get_userbyid(nspowner)), \
        exists (select from pg_roles r where r.rolsuper and pg_has_role(nspowner, r.oid, 'MEMBER')), \
        session_user::text, quote_ident(session_user) \
    from pg_namespace \
    where nspname = 'banyan' and not pg_has_role(nspowner, 'USAGE')";

/// Of such a side nothing else is asked: what stands in the schema may not be read.
pub(super) async fn of_another(session: &Session) -> Result<Option<Finding>, MoverError> {
    let side = session.side();
    let row = session
        .query_opt(OF_ANOTHER, &[])
        .await
        .map_err(MoverError::sql(side, "looking for our schema"))?;
    let Some(row) = row else { return Ok(None) };
    let (owner, is_superuser): (String, bool) = (row.get(0), row.get(1));
    let (role, quoted): (String, String) = (row.get(2), row.get(3));
    let at = |sql| Statement::new(side, sql).by_superuser();
    let remedy = if is_superuser {
        // Whoever has its rights has those of a superuser.
        Remedy::run(
            "Give the plan the role that made it, or, if nothing else is in it, run as a superuser",
            [at(format!("alter schema banyan owner to {quoted}"))
                .caution("only if nothing but Banyan's is in that schema")],
        )
    } else {
        Remedy::run(
            "Give the plan the role that made it, or run as a superuser",
            [at(format!("grant {owner} to {quoted}"))],
        )
    };
    Ok(Some(Finding::refuse(
        Id::Unreadable,
        format!("schema banyan in the {side}'s database"),
        format!("it belongs to {owner}, and role {role} may not do as its owner"),
        remedy,
    )))
}
