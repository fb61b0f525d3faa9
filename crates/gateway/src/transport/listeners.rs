//! Listening sockets: made here, or inherited from a predecessor.
//!
//! Closing one of several sockets that share a port (`SO_REUSEPORT`) loses the
//! connections that wait in its queue. So sockets are made once and handed
//! from process to process: a successor gets the very same ones ([`crate::server::socket_handoff`],
//! or systemd's socket activation) and accepts from all of them, however many
//! workers it has.

use crate::StartError;
use listenfd::ListenFd;
use plan::{ListenAddress, Listener};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
};

/// Connections that wait to be accepted, per socket: those that come within a
/// scheduling delay, and Linux' own limit is not above it by default.
const BACKLOG: i32 = 4096;

/// The most sockets that are taken over: workers times listeners, and no more
/// than the files that a process may have open by default.
pub(crate) const SOCKETS_MAX: usize = 1024;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    /// What a descriptor is, where it listens on a stream.
    fn of(descriptor: OwnedFd) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "not a listening stream socket");
        let socket = Socket::from(descriptor);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(wrong());
        }
        match socket.domain()? {
            Domain::IPV4 | Domain::IPV6 => Ok(Self::Tcp(socket.into())),
            Domain::UNIX => Ok(Self::Unix(socket.into())),
            _ => Err(wrong()),
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }

    pub(crate) fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    fn listens_on(&self, wanted: &ListenAddress) -> bool {
        match (self, wanted) {
            (Self::Tcp(_), ListenAddress::Tcp(address)) => self.tcp_address() == Some(*address),
            (Self::Unix(listener), ListenAddress::Unix(path)) => listener
                .local_addr()
                .is_ok_and(|address| address.as_pathname() == Some(path)),
            _ => false,
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// Listening sockets that somebody else has made.
#[derive(Debug, Default)]
pub struct Listeners(pub(crate) Vec<Listening>);

impl Listeners {
    /// None: the gateway makes its own.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that systemd passes by `LISTEN_FDS`, if it does. To be asked once,
    /// before there are other threads.
    pub fn from_environment() -> io::Result<Self> {
        let mut given = ListenFd::from_env();
        let mut all = Self::default();
        for at in 0..given.len().min(SOCKETS_MAX) {
            if let Some(descriptor) = given.take_tcp_listener(at)? {
                all.push(descriptor.into())?;
            }
        }
        Ok(all)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, descriptor: OwnedFd) -> io::Result<()> {
        self.0.push(Listening::of(descriptor)?);
        Ok(())
    }

    /// Takes out the sockets of a listener, or makes them: at least one for
    /// each worker.
    pub(crate) fn take(
        &mut self,
        listener: &Listener,
        workers: usize,
    ) -> Result<Vec<Listening>, StartError> {
        let failed = |source| StartError::listening(&listener.address, source);
        let wanted = &listener.address;
        let mut sockets: Vec<_> = self
            .0
            .extract_if(.., |socket| socket.listens_on(wanted))
            .collect();
        if sockets.is_empty() {
            sockets = match wanted {
                ListenAddress::Tcp(address) => bind_tcp(*address, workers).map_err(failed)?,
                ListenAddress::Unix(path) => {
                    vec![bind_unix(path, listener.mode).map_err(failed)?]
                }
            };
        }
        // Fewer than workers: some share one.
        for at in 0..workers.saturating_sub(sockets.len()) {
            sockets.push(sockets[at].try_clone().map_err(failed)?);
        }
        Ok(sockets)
    }
}

/// Binds one socket per worker to the same address.
fn bind_tcp(wanted: SocketAddr, workers: usize) -> io::Result<Vec<Listening>> {
    let socket = || Socket::new(Domain::for_address(wanted), Type::STREAM, None);
    if wanted.port() != 0 {
        // Sockets that share a port share it with other processes of the same
        // user, too. One that does not share tells whether somebody is there.
        let probe = socket()?;
        probe.set_reuse_address(true)?;
        probe.bind(&wanted.into())?;
    }
    let mut address = wanted;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket = socket()?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        let listener: TcpListener = socket.into();
        address = listener.local_addr()?;
        sockets.push(listener);
    }
    for socket in &sockets {
        SockRef::from(socket).listen(BACKLOG)?;
    }
    Ok(sockets.into_iter().map(Listening::Tcp).collect())
}

/// Binds a Unix socket. A file whose socket refuses connections was left behind
/// by a gateway that was killed, and is replaced. Its permissions are there before
/// anybody can connect.
fn bind_unix(path: &Path, mode: u32) -> io::Result<Listening> {
    let (socket, address) = (
        Socket::new(Domain::UNIX, Type::STREAM, None)?,
        SockAddr::unix(path)?,
    );
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
                socket.bind(&address)
            }
            _ => Err(error),
        },
        bound => bound,
    }?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(Listening::Unix(socket.into()))
}
