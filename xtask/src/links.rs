//! Relative links between documents.

use crate::{Finding, Tree};
use anyhow::Result;

/// Finds links in Markdown files whose file or folder is not there.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Finding>> {
    let documents = tree.files().filter(|file| file.extension() == "md");
    Ok(documents
        .flat_map(|file| {
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let links = prose(file.text().unwrap_or_default()).flat_map(|(number, line)| targets(line).map(move |target| (number, target)));
            let dead = links.filter(|(_, target)| !resolve(folder, target).is_some_and(|path| tree.has(&path)));
            dead.map(|(number, target)| file.finding(number, format!("link to {target}"), "there is no such file or folder"))
                .collect::<Vec<_>>()
        })
        .collect())
}

/// Numbered lines outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((index + 1, line))
    })
}

/// The relative targets of `[text](target)` in a line, without the part after `#`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(start, _)| {
        let target = line[start + 2..].split([')', ' ']).next()?;
        let path = target.split('#').next()?;
        (!path.is_empty() && !path.contains(':')).then_some(path)
    })
}

/// The path from the root that a link in a folder means; nothing when it leaves the project.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_finds_dead_links_only() {
        let text = "[a](b.md) [c](../README.md#top) [d](https://x.y/z) [e](#here)\n[f](none.md) [g](../../out.md)\n```\n[h](none.md)\n```\n[i](..)";
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("README.md", "")]);
        let found: Vec<String> = check(&tree).unwrap().iter().map(Finding::to_string).collect();
        let why = "there is no such file or folder";
        assert_eq!(found, [format!("docs/a.md:2: link to none.md: {why}"), format!("docs/a.md:2: link to ../../out.md: {why}")]);
    }
}
