//! RFC 9110, 9: methods.

use super::{OTHERWISE, REFUSED};
use crate::row::{Answer, Row, passed, refused};

const CAPITALS: &str = "a method that is not in capitals";
const LETTERS: &str = "letters count, and servers take `post` for `POST`";
const TOKEN: &str = "a method is a token";
const OWN: &str = "what a method means is the origin's business";

pub const ROWS: &[Row] = &[
    passed(
        "HEAD",
        first!("HEAD /x HTTP/1.1"),
        "9110 9.3.2",
        "> HEAD /x HTTP/1.1",
        "no body comes back",
    ),
    passed(
        "POST without a length",
        first!("POST /x HTTP/1.1"),
        "9112 6.3",
        "> POST /x HTTP/1.1\n+ content-length: 0",
        "no body, and who comes next need not guess",
    ),
    passed(
        "PUT",
        first!("PUT /x HTTP/1.1"),
        "9110 9.3.4",
        "> PUT /x HTTP/1.1",
        OWN,
    ),
    passed(
        "PATCH",
        first!("PATCH /x HTTP/1.1"),
        "5789 2",
        "> PATCH /x HTTP/1.1",
        OWN,
    ),
    passed(
        "DELETE",
        first!("DELETE /x HTTP/1.1"),
        "9110 9.3.5",
        "> DELETE /x HTTP/1.1",
        OWN,
    ),
    passed(
        "OPTIONS",
        first!("OPTIONS /x HTTP/1.1"),
        "9110 9.3.7",
        "> OPTIONS /x HTTP/1.1",
        OWN,
    ),
    passed(
        "PROPFIND",
        first!("PROPFIND /x HTTP/1.1"),
        "4918 9.1",
        "> PROPFIND /x HTTP/1.1",
        OWN,
    ),
    passed(
        "QUERY",
        first!("QUERY /x HTTP/1.1"),
        "9110 9.1",
        "> QUERY /x HTTP/1.1",
        OWN,
    ),
    passed(
        "a method of one's own",
        first!("MKCOL-2 /x HTTP/1.1"),
        "9110 9.1",
        "> MKCOL-2 /x HTTP/1.1",
        OWN,
    ),
    passed(
        "a method of one letter",
        first!("G /x HTTP/1.1"),
        "9110 9.1",
        "> G /x HTTP/1.1",
        OWN,
    ),
    passed(
        "an underscore",
        first!("G_T /x HTTP/1.1"),
        "9110 9.1",
        "> G_T /x HTTP/1.1",
        OWN,
    ),
    passed(
        "PRI of a path",
        first!("PRI /x HTTP/1.1"),
        "9110 9.1",
        "> PRI /x HTTP/1.1",
        OWN,
    ),
    passed(
        "digits",
        first!("M1 /x HTTP/1.1"),
        "9110 9.1",
        "> M1 /x HTTP/1.1",
        OWN,
    ),
    passed(
        "a long method",
        first!("{M*200} /x HTTP/1.1"),
        "9112 3",
        "> {M*200} /x HTTP/1.1",
        OWN,
    ),
    refused(
        "in lower case",
        first!("get /x HTTP/1.1"),
        "9110 9.1",
        LETTERS,
    )
    .answered(Answer::Refuses(400))
    .stricter(REFUSED, CAPITALS),
    refused(
        "in mixed case",
        first!("Post /x HTTP/1.1"),
        "9110 9.1",
        LETTERS,
    )
    .answered(Answer::Refuses(400))
    .stricter(REFUSED, CAPITALS),
    refused("brackets", first!("G[T /x HTTP/1.1"), "9110 9.1", TOKEN),
    refused("a colon", first!("GET: /x HTTP/1.1"), "9110 9.1", TOKEN),
    refused("a slash", first!("GET/ /x HTTP/1.1"), "9110 9.1", TOKEN),
    refused("a quote", first!("\"GET\" /x HTTP/1.1"), "9110 9.1", TOKEN),
    refused("a comma", first!("GET,POST /x HTTP/1.1"), "9110 9.1", TOKEN),
    refused("an at sign", first!("G@T /x HTTP/1.1"), "9110 9.1", TOKEN),
    refused("a NUL", first!("G\0T /x HTTP/1.1"), "9110 9.1", TOKEN),
    refused("a delete", first!("G\x7fT /x HTTP/1.1"), "9110 9.1", TOKEN),
    refused(
        "an umlaut",
        first!("G\u{c4}T /x HTTP/1.1"),
        "9110 9.1",
        TOKEN,
    ),
    refused(
        "TRACE",
        first!("TRACE /x HTTP/1.1"),
        "9110 9.3.8",
        "it reads a request back, cookies and all",
    )
    .answered(Answer::Refuses(400))
    .either(),
    refused(
        "TRACE with a body",
        "TRACE /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "9110 9.3.8",
        "a client must not send one",
    )
    .answered(Answer::Refuses(400)),
    refused(
        "CONNECT",
        "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n",
        "9110 9.3.6",
        "a gateway is no tunnel: servers need not have it",
    )
    .answered(Answer::Refuses(400))
    .either(),
    refused(
        "CONNECT of a path",
        first!("CONNECT /x HTTP/1.1"),
        "9112 3.2.3",
        "its target is a host and a port",
    )
    .answered(Answer::Refuses(400)),
    refused(
        "CONNECT without a port",
        first!("CONNECT a HTTP/1.1"),
        "9110 9.3.6",
        "its target is a host and a port",
    )
    .answered(Answer::Refuses(400)),
    passed(
        "GET with a body",
        "GET /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "9110 9.3.1",
        "> GET /x HTTP/1.1\n+ connection: close\n= hello",
        "it means nothing, and who does not read it leaves it for the next request (CL.0)",
    ),
    passed(
        "GET with a body in chunks",
        "GET /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "9110 9.3.1",
        "> GET /x HTTP/1.1\n+ connection: close\n= hello",
        "as above (TE.0)",
    ),
    passed(
        "HEAD with a body",
        "HEAD /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "9110 9.3.2",
        "> HEAD /x HTTP/1.1\n+ connection: close\n= hello",
        "as above",
    ),
    passed(
        "DELETE with a body",
        "DELETE /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
        "9110 9.3.5",
        "> DELETE /x HTTP/1.1\n+ connection: close\n= hello",
        "as above",
    ),
    passed(
        "OPTIONS with a body in chunks",
        "OPTIONS /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "9110 9.3.7",
        "> OPTIONS /x HTTP/1.1\n+ connection: close\n= hello",
        "TE.0 was found with this method",
    ),
    passed(
        "a body that is a request",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        "9112 6.3",
        "> POST /x HTTP/1.1\n= GET /smuggled HTTP/1.1{crlf}host: a{crlf}{crlf}",
        "a body is bytes",
    ),
    passed(
        "a method override",
        get!("x-http-method-override: DELETE\r\n"),
        "9110 9.1",
        "> GET /x HTTP/1.1\n+ x-http-method-override: DELETE",
        "a field that no RFC knows",
    ),
    passed(
        "OPTIONS that may not be forwarded",
        "OPTIONS /x HTTP/1.1\r\nhost: a\r\nmax-forwards: 0\r\n\r\n",
        "9110 7.6.2",
        "> OPTIONS /x HTTP/1.1\n+ max-forwards: 0",
        "we would have to answer it; nobody sends it, and what it asks is the origin's to say",
    )
    .otherwise(OTHERWISE, "`Max-Forwards`"),
    passed(
        "OPTIONS of the server",
        first!("OPTIONS * HTTP/1.1"),
        "9110 9.3.7",
        "",
        "it asks for the server itself, which is the gateway",
    )
    .answered(Answer::Own(204)),
];
