-- Two days of minutes and thirty days of hours, of three services with a
-- hundred endpoints each ('' is all of a service), with twenty cells filled.
create temporary view kinds as
select 'service-' || service as service, endpoint, case endpoint when '' then '' else 'GET' end as method,
    cells, counts
from generate_series(1, 3) as services (service),
    (select '' union all select '/' || n from generate_series(1, 100) as n) as endpoints (endpoint),
    (select array_agg(n::smallint), array_agg(1::bigint) from generate_series(201, 220) as n)
        as filled (cells, counts);

insert into requests_by_minute
select to_timestamp(minute * 60), service, endpoint, method, 20, 0, 1, 0, 2000, 200, cells, counts
from kinds, generate_series(
    extract(epoch from now())::bigint / 60 - 2880, extract(epoch from now())::bigint / 60) as minute;

insert into requests_by_hour
select to_timestamp(hour * 3600), service, endpoint, method, 20, 0, 1, 0, 2000, 200, cells, counts
from kinds, generate_series(
    extract(epoch from now())::bigint / 3600 - 720, extract(epoch from now())::bigint / 3600) as hour;

analyze
