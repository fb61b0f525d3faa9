//! The hand-over of the listening sockets to a successor, through a Unix socket
//! (`SCM_RIGHTS`), so that a new binary takes over without a refused connection.
//!
//! ```text
//! predecessor                          successor
//! Offer::bind, Offer::wait  <───────── Taken::ask
//!              ── sockets ───────────▶ Gateway::prepare_after
//!              ◀───── ready ────────── Taken::ready
//! stops deciding
//! Handing::give ── yours ────────────▶ decides, publishes, Gateway::accept
//!              ◀───── accepting ────── Taken::accepting
//! Gateway::retire
//! ends         ── end of stream ─────▶ Taken::gone, Gateway::alone
//! ```
//!
//! Two never decide at the same time, but both accept for a moment, from the
//! same sockets. The predecessor stops only once the successor says that it
//! accepts; a successor that fails before that changes nothing: the predecessor
//! goes on, and decides again. All of it blocks, within a bound: it belongs on a
//! thread of its own.

use crate::{
    Gateway, Listeners,
    transport::listeners::{Listening, SOCKETS_MAX},
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt::socket_peercred,
};
use std::os::unix::fs::PermissionsExt;
use std::{
    fs,
    io::{self, IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// How long each step of the other side may take: a successor reads its plan
/// and certificates meanwhile.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Descriptors in one message; Linux allows 253.
const PART: usize = 64;

/// How long a successor may take to find out who owns and to accept.
pub const TAKING: Duration = Duration::from_secs(30);

/// What a successor says first, once it could begin, and once it accepts.
const ASKING: u8 = b'?';
const READY: u8 = b'+';
const ACCEPTING: u8 = b'!';

/// What the predecessor says once it decides nothing any more.
const YOURS: u8 = b'.';

/// The place where a successor asks for the sockets.
#[derive(Debug)]
pub struct Offer {
    listener: UnixListener,
    path: PathBuf,
}

impl Offer {
    /// Makes the place, for this user only. What is there already is replaced:
    /// the offer of a predecessor.
    pub fn bind(path: &Path) -> io::Result<Self> {
        // Made aside and then moved, so that it is never there with other
        // permissions, and a predecessor's offer goes on until then.
        let aside = path.with_extension("new");
        let _ = fs::remove_file(&aside);
        let listener = UnixListener::bind(&aside)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))?;
        fs::rename(&aside, path)?;
        let path = path.to_owned();
        Ok(Self { listener, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a successor and gives it the gateway's sockets. Returns once it
    /// could begin. After an error it may be called again.
    pub fn wait(&self, gateway: &Gateway) -> io::Result<Handing> {
        let (mut stream, _) = self.listener.accept()?;
        bound(&stream)?;
        let peer = socket_peercred(&stream)?;
        if peer.uid != rustix::process::geteuid() && !peer.uid.is_root() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        expect(&mut stream, ASKING)?;
        let sockets = gateway.listeners()?.0;
        let count = u16::try_from(sockets.len()).map_err(io::Error::other)?;
        stream.write_all(&count.to_be_bytes())?;
        for part in sockets.chunks(PART) {
            send(&stream, part)?;
        }
        expect(&mut stream, READY)?;
        Ok(Handing { stream })
    }
}

/// A successor that has the sockets and waits.
#[derive(Debug)]
pub struct Handing {
    stream: UnixStream,
}

impl Handing {
    /// Lets the successor decide; this process decides no more. Returns once the
    /// successor accepts; then it is time for [`Gateway::retire`], with this kept
    /// until nothing is served any more. An error: the successor has failed.
    pub fn give(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(TAKING))?;
        self.stream.write_all(&[YOURS])?;
        expect(&mut self.stream, ACCEPTING)
    }
}

/// A predecessor that has given its sockets.
#[derive(Debug)]
pub struct Taken {
    stream: UnixStream,
}

impl Taken {
    /// Asks the predecessor at this path for its sockets.
    pub fn ask(path: &Path) -> io::Result<(Self, Listeners)> {
        let mut stream = UnixStream::connect(path)?;
        bound(&stream)?;
        stream.write_all(&[ASKING])?;
        let mut count = [0; 2];
        stream.read_exact(&mut count)?;
        let count = usize::from(u16::from_be_bytes(count));
        if count > SOCKETS_MAX {
            return Err(io::Error::other("the predecessor has too many sockets"));
        }
        let mut listeners = Listeners::none();
        while listeners.len() < count {
            let before = listeners.len();
            receive(&stream, &mut listeners)?;
            if listeners.len() == before {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok((Self { stream }, listeners))
    }

    /// Tells the predecessor that this process could begin, and waits until it
    /// decides nothing any more.
    pub fn ready(&mut self) -> io::Result<()> {
        self.stream.write_all(&[READY])?;
        expect(&mut self.stream, YOURS)
    }

    /// Tells the predecessor that this process accepts: it may stop.
    pub fn accepting(&mut self) -> io::Result<()> {
        self.stream.write_all(&[ACCEPTING])
    }

    /// Waits until the predecessor has no request left, however long.
    pub fn gone(mut self) {
        // Nothing comes any more but the end, or an error that is one.
        let _ = self.stream.set_read_timeout(None);
        let _ = self.stream.read(&mut [0]);
    }
}

fn bound(stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))
}

fn expect(stream: &mut UnixStream, wanted: u8) -> io::Result<()> {
    let mut said = [0];
    stream.read_exact(&mut said)?;
    if said == [wanted] {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the other side is no gateway of this version",
        ))
    }
}

fn send(stream: &UnixStream, sockets: &[Listening]) -> io::Result<()> {
    let descriptors: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PART))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("the sockets do not fit into a message"));
    }
    let byte = [IoSlice::new(b".")];
    sendmsg(stream, &byte, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(stream: &UnixStream, listeners: &mut Listeners) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PART))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    // One byte, one part: a message never brings more.
    recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            for descriptor in descriptors {
                listeners.push(descriptor)?;
            }
        }
    }
    Ok(())
}
