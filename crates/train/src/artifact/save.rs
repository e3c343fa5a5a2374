//! A file that is either the old one or the new one, whatever happens while it is written.

use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use tempfile::{Builder, NamedTempFile};

/// Writes beside the path, flushes to the disk, renames over the path and flushes the folder. A failure leaves what was there.
pub(super) fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
    let wrong = |source| Error::io(format!("write model file {}", path.display()), source);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut beside = create_beside(folder).map_err(wrong)?;
    write(beside.as_file_mut()).and_then(|()| beside.as_file_mut().flush()).and_then(|()| beside.as_file().sync_all()).map_err(wrong)?;
    beside.persist(path).map_err(|error| wrong(error.error))?;
    sync_folder(folder).map_err(wrong)
}

/// Temporary files are private by default; a model is as readable as any file of its user (the mask still applies).
#[cfg(unix)]
fn create_beside(folder: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o666);
    Builder::new().prefix(".model").suffix(".part").permissions(permissions).tempfile_in(folder)
}

#[cfg(not(unix))]
fn create_beside(folder: &Path) -> io::Result<NamedTempFile> {
    Builder::new().prefix(".model").suffix(".part").tempfile_in(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Folders cannot be flushed here.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replace_leaves_the_old_file_when_the_disk_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.cupola");
        replace(&path, |file| file.write_all(b"old")).unwrap();
        let error = replace(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(error.unwrap_err().to_string().contains("model.cupola: no storage space"));
        assert_eq!((std::fs::read(&path).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["model.cupola".to_owned()]));
        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn replace_says_which_file_it_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(folder.path(), |_| Ok(())).is_err(), "a folder is in the way");
        assert_eq!(names(folder.path()).len(), 0);
        assert!(replace(&folder.path().join("no/such/m"), |_| Ok(())).unwrap_err().to_string().contains("no/such/m"));
    }
}
