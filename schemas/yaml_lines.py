"""Lines of a YAML file, so that a message can say where the wrong thing stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import yaml


class YamlLines:
    """Knows on which line each key and list item of a text stands."""

    def __init__(self, text: str) -> None:
        """Raises yaml.YAMLError for a text that is no YAML."""
        self._lines: dict[tuple[str | int, ...], int] = {(): 1}
        self.repeated: list[tuple[str, int]] = []
        """Keys that stand twice in one mapping, of which YAML silently keeps the last, with the line of the second."""
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            self._walk(root, ())

    def of(self, path: Iterable[str | int]) -> int:
        """The line, from 1, of a key or item; where it does not exist, of the nearest thing that it would stand in."""
        place = tuple(path)
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]

    def _walk(self, node: yaml.Node, path: tuple[str | int, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            self._walk_mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            items: Sequence[yaml.Node] = node.value
            for number, item in enumerate(items):
                self._lines[*path, number] = item.start_mark.line + 1
                self._walk(item, (*path, number))

    def _walk_mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> None:
        for key, value in node.value:
            place = (*path, str(key.value))
            line = key.start_mark.line + 1
            if place in self._lines:
                self.repeated.append((str(key.value), line))
            self._lines[place] = line
            self._walk(value, place)
