//! Shows a folder with all that lies below.

use std::fmt::Write as _;
use std::fs;

use crate::failure::{Access, io_failure};
use crate::place::Place;
use crate::walk::{self, Walk};
use crate::{Error, Kind, Outline};

const USUAL_DEPTH: u32 = 3;
const MOST_DEPTH: u32 = 32;
const USUAL_LINES: u32 = 300;
const MOST_LINES: u32 = 3000;

pub fn tree(path: &str, depth: Option<u32>, limit: Option<u32>) -> Result<Outline, Error> {
    let place = Place::new(path)?;
    let depth = depth.unwrap_or(USUAL_DEPTH).clamp(1, MOST_DEPTH);
    let limit = limit.unwrap_or(USUAL_LINES).min(MOST_LINES);
    let mut walk = Walk::new(&place).map_err(|error| io_failure(Access::Read, &place, &error))?;
    let mut tree = Outline { text: String::new(), files: 0, folders: 0, bytes: 0, truncated: false };
    while let Some(step) = walk.step() {
        if tree.files + tree.folders == limit || walk::is_late() {
            tree.truncated = true;
            break;
        }
        let indent = step.depth as usize * 2;
        let name = step.place.name();
        let line = match step.kind {
            Kind::Folder => {
                tree.folders += 1;
                if step.depth + 1 < depth {
                    let read = walk.enter(&step);
                    format!("{name}/{}", if read { "" } else { "  (cannot be read)" })
                } else {
                    tree.truncated = true;
                    format!("{name}/")
                }
            }
            Kind::File => {
                let size = fs::metadata(&step.place.real).map_or(0, |metadata| metadata.len());
                tree.files += 1;
                tree.bytes += size;
                format!("{name}  {size}")
            }
            Kind::Link | Kind::Other => {
                tree.files += 1;
                format!("{name}  ({})", if step.kind == Kind::Link { "link" } else { "no file" })
            }
        };
        // Writing into a text cannot fail.
        let _ = writeln!(tree.text, "{:indent$}{line}", "");
    }
    Ok(tree)
}
