//! The list of checks. Adding one is a file beside this one and a line here.

use crate::{Finding, Tree, arrows, hygiene, links, recipes, registry, shipped, tables};
use anyhow::{Context, Result};

/// One check of the whole tree.
#[derive(Clone, Copy)]
pub struct Check {
    /// What it is called.
    pub name: &'static str,
    /// Looks at the tree and says what it does not accept.
    pub run: fn(&Tree) -> Result<Vec<Finding>>,
}

/// Every check.
pub const CHECKS: &[Check] = &[
    Check { name: "arrows", run: arrows::check },
    Check { name: "registry", run: registry::check },
    Check { name: "tables", run: tables::check },
    Check { name: "marks", run: hygiene::check_marks },
    Check { name: "places", run: hygiene::check_places },
    Check { name: "sizes", run: hygiene::check_sizes },
    Check { name: "recipes", run: recipes::check },
    Check { name: "data", run: shipped::check },
    Check { name: "links", run: links::check },
];

/// Runs every check and gathers what they find.
///
/// # Errors
/// When a file cannot be understood at all, such as a `Cargo.toml` that is not TOML.
pub fn tidy(tree: &Tree) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for check in CHECKS {
        findings.extend((check.run)(tree).with_context(|| format!("run check {}", check.name))?);
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let findings = tidy(&Tree::open(&crate::root()).unwrap()).unwrap();
        let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }
}
