//! How a fence counts what it refuses: in sequences, whose values outlast the
//! transaction that is undone.
//!
//! Three of them belong to an extraction on each side. They decide nothing, and
//! where they are missing or cannot be changed a write is refused all the same.

/// How many statements were refused.
const COUNT: &str = "refusals";

/// When the first and the last were, in milliseconds since 1970.
const FIRST: &str = "first_refusal";
const LAST: &str = "last_refusal";

/// Defines the function that the fence calls before it refuses.
pub(super) fn function(schema: &str) -> String {
    format!(
        "
-- An error in here must not take the place of the fence's own.
create or replace function {schema}.count_refusal(extraction text) returns void
    language plpgsql as $count$
declare
    slug text := replace(extraction, '-', '_');
    moment bigint := extract(epoch from clock_timestamp()) * 1000;
begin
    if nextval(format('{schema}.%I', '{COUNT}_' || slug)) = 1 then
        perform setval(format('{schema}.%I', '{FIRST}_' || slug), moment);
    end if;
    perform setval(format('{schema}.%I', '{LAST}_' || slug), moment);
exception when others then
    null;
end
$count$;
"
    )
}

/// The sequences of an extraction: the count, the first moment, the last.
pub(super) fn counters(schema: &str, slug: &str) -> [String; 3] {
    [COUNT, FIRST, LAST].map(|name| format!("{schema}.{name}_{slug}"))
}

/// Makes them where they are missing. Everybody may read them: a dump does.
pub(super) fn create(counters: [String; 3]) -> String {
    let create = |name| {
        format!(
            "create sequence if not exists {name} as bigint minvalue 1; \
             grant select on {name} to public; "
        )
    };
    counters.map(create).concat()
}
