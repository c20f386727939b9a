//! The user a server runs as. Postgres refuses to run as root, so root starts it as somebody else.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::Error;

/// A user other than ourselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

/// Who we are, by the `id` program: the standard library does not tell.
pub(crate) fn is_root() -> bool {
    id(&["-u"]) == Some(0)
}

/// The user a server that refuses root is started as: `None` means ourselves.
pub(crate) fn for_server() -> Result<Option<User>, Error> {
    if !is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| Some(User { uid: id(&["-u", name])?, gid: id(&["-g", name])? }))
        .map(Some)
        .ok_or_else(|| {
            Error::failed(
                "Postgres refuses to run as root, and there is neither a user `postgres` nor `nobody`",
            )
        })
}

impl User {
    pub(crate) fn applied_to(self, command: &mut Command) {
        command.gid(self.gid).uid(self.uid);
    }

    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(Error::io(format!("cannot give {} to the server's user", path.display())))
    }
}

fn id(args: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(args).stdin(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
