#!/usr/bin/env python3
"""What can be checked of prose: lines are short, links lead somewhere, and names are those of the code.

prose_test.py README: the README of the tree that it reads, through a link if need be.
"""
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.realpath(sys.argv[1]))
WIDTH = 120


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        return file.read()


def markdown_pages():
    pages = ['README.md', 'SECURITY.md', 'server/README.md']
    for folder, _, names in os.walk(os.path.join(ROOT, 'docs')):
        pages += [os.path.relpath(os.path.join(folder, name), ROOT) for name in names if name.endswith('.md')]
    return sorted(pages)


def without_code(text):
    """The lines outside of fenced blocks, with their numbers."""
    fenced = False
    for number, line in enumerate(text.split('\n'), 1):
        if re.match(r'\s*(```|~~~)', line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchor(heading):
    """As GitHub makes it of a heading."""
    heading = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading).replace('`', '')
    heading = re.sub(r'[^\w\- ]', '', heading.strip().lower())
    return heading.replace(' ', '-')


def anchors(path):
    found = {}
    for _, line in without_code(read(path)):
        match = re.match(r'#+ (.*)', line)
        if match:
            name = anchor(match.group(1))
            found[name] = found.get(name, -1) + 1
    return {name + (f'-{i}' if i else '') for name, count in found.items() for i in range(count + 1)}


def links(text):
    prose = '\n'.join(re.sub(r'`[^`]*`', '', line) for _, line in without_code(text))
    return re.findall(r'\[[^\]]+\]\(([^()\s]+)\)', prose)


def broken_link(page, link):
    """Why `link` of `page` leads nowhere, or None."""
    if re.match(r'[a-z]+:', link):
        return None
    path, _, fragment = link.partition('#')
    target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
    if target.startswith('..'):
        return f'{link} leads out of the tree'
    if not os.path.exists(os.path.join(ROOT, target)):
        return f'there is no {target}'
    if fragment and target.endswith('.md') and fragment not in anchors(target):
        return f'{target} has no heading #{fragment}'
    return None


def reasons():
    return set(re.findall(r'inline constexpr char k\w+\[\] = "([a-z_]+)"', read('server/base/reason.h')))


def calls():
    """Service -> its methods."""
    found = {}
    for name in ('event_service', 'subscription_service', 'admin_service'):
        service = None
        for line in read(f'proto/hookgate/v1/{name}.proto').split('\n'):
            service = (re.match(r'service (\w+)', line) or [None, service])[1]
            method = re.match(r'\s+rpc (\w+)\(', line)
            if method:
                found.setdefault(service, set()).add(method[1])
    return found


class ProseTest(unittest.TestCase):
    def test_lines_are_short(self):
        for page in markdown_pages():
            for number, line in enumerate(read(page).split('\n'), 1):
                if len(line) > WIDTH:
                    self.fail(f'{page}:{number} has {len(line)} columns; {WIDTH} are allowed')

    def test_links_lead_somewhere(self):
        checked = 0
        for page in markdown_pages():
            for link in links(read(page)):
                with self.subTest(page=page, link=link):
                    self.assertIsNone(broken_link(page, link))
                checked += 1
        self.assertGreater(checked, 60)

    # The two directions of a claim: what is documented is there, and what is there is documented.
    def test_every_call_is_documented(self):
        page = read('docs/grpc-api.md')
        found = calls()
        self.assertGreater(sum(len(methods) for methods in found.values()), 30)
        documented = set()
        for row in re.findall(r'(?m)^\| (`[A-Z]\w+`(?:, `[A-Z]\w+`)*) \|', page):
            documented |= set(re.findall(r'`(\w+)`', row))
        self.assertEqual(documented, set().union(*found.values()))

    def test_rights_are_those_of_the_code(self):
        page = read('docs/grpc-api.md')
        rules = dict(re.findall(r'\{"/hookgate\.v1\.\w+/(\w+)", \{([^}]*)\}\}', read('server/rpc/call_rules.cc')))
        checked = 0
        for names, right in re.findall(r'(?m)^\| (`\w+`(?:, `\w+`)*) \| ([a-z ]+) \| ', page):
            for name in re.findall(r'`(\w+)`', names):
                rights = [rule.strip().removeprefix('Right::k').lower() for rule in rules[name].split(',')]
                self.assertEqual(' or '.join(rights), right, name)
                checked += 1
        self.assertGreater(checked, 20)

    def test_every_reason_is_documented(self):
        grpc = set(re.findall(r'\| `([A-Z_]+)` \|', read('docs/grpc-api.md')))
        http_page = read('docs/http-api.md')
        http = set()
        for cell in re.findall(r'(?m)^\| \d{3} \| ([^|]*) \|', http_page):
            http |= set(re.findall(r'`([a-z_]+)`', cell))
        http |= {'too_many_scrapes'} & set(re.findall(r'`([a-z_]+)`', http_page))
        self.assertEqual({reason.lower() for reason in grpc} | http, reasons())

    # Programs ask for them by name. What the protocol refuses before a service sees it is no program's to handle.
    def test_each_client_has_the_reasons_of_services(self):
        of_services, of_the_protocol = read('docs/grpc-api.md').split('## Errors')[1].split('\nA call that')
        wanted = set(re.findall(r'\| `([A-Z_]+)` \|', of_services))
        self.assertGreater(len(wanted), 20)
        self.assertIn('BODY_TOO_LARGE', of_the_protocol)
        for path, pattern in {
            'client/go/errors.go': r'Reason = "([A-Z_]+)"',
            'client/python/src/hookgate/errors.py': r'(?m)^    "([A-Z_]+)": \w+,$',
            'client/typescript/src/errors.ts': r'(?m)^  \| "([A-Z_]+)"$',
        }.items():
            self.assertEqual(wanted - set(re.findall(pattern, read(path))), set(), path)

    # One that a source spells out by itself would be missing in the list, and so on the pages.
    def test_reasons_that_clients_are_told_are_of_the_list(self):
        checked = 0
        for folder, _, names in os.walk(os.path.join(ROOT, 'server')):
            for path in (os.path.join(folder, name) for name in names if name.endswith(('.cc', '.h'))):
                for said in re.findall(r'ErrorWithReason\(\s*[\w:]+,\s*([^,]+),', read(path)):
                    # A variable, or of the engine or its records, which no client is told.
                    self.assertRegex(said, r'^(reason::k\w+|(log|record)_reason::k\w+|[a-z_]+|absl::.*)$', path)
                    checked += 1
        self.assertGreater(checked, 80)

    def test_statuses_are_those_of_the_code(self):
        source = read('server/http/problem.cc')
        numbers = dict(re.findall(r'constexpr HttpStatus (k\w+) = \{(\d+),', source))
        names = dict(re.findall(r'constexpr char (k\w+)\[\] = "([a-z_]+)"', read('server/base/reason.h')))
        documented = {}
        for status, cell in re.findall(r'(?m)^\| (\d{3}) \| ([^|]*) \|', read('docs/http-api.md')):
            for code in re.findall(r'`([a-z_]+)`', cell):
                documented[code] = status
        pairs = re.findall(r'\{reason::(k\w+), (k\w+)\}', source)
        self.assertGreater(len(pairs), 4)
        for name, status in pairs:
            self.assertEqual(documented[names[name]], numbers[status], names[name])

    def test_metrics_that_pages_name_are_listed(self):
        listed = set(re.findall(r'(?m)^- `([a-z_]+)` \(', read('docs/metrics.md')))
        self.assertGreater(len(listed), 40)
        for page in markdown_pages():
            for name in re.findall(r'\bhookgate_[a-z_]+_(?:total|bytes|seconds|timestamp_seconds)\b', read(page)):
                self.assertIn(name, listed, page)

    def test_tables_of_the_log_are_documented(self):
        tables = set(re.findall(r'CREATE TABLE (?:IF NOT EXISTS )?(\w+)', read('server/store/schema_steps.cc')))
        self.assertGreater(len(tables), 20)
        page = set(re.findall(r'`(\w+)`', read('docs/formats.md')))
        self.assertEqual(tables - page, set())

    def test_config_keys_that_pages_name_exist(self):
        keys = set(re.findall(r'\b([a-z][a-z_0-9]*) = \d+', read('proto/hookgate/config/v1/config.proto')))
        self.assertGreater(len(keys), 60)
        tops = 'http|grpc|admin|storage|metrics|cluster|operator_events'
        checked = 0
        for page in markdown_pages():
            if page == 'docs/configuration.md':
                continue  # made from config.proto, with a test of its own
            for path in re.findall(rf'`((?:{tops})(?:\.[a-z_0-9]+)+)', read(page)):
                for key in path.split('.'):
                    with self.subTest(page=page, path=path):
                        self.assertIn(key, keys)
                checked += 1
        self.assertGreater(checked, 15)


class HelpersTest(unittest.TestCase):
    def test_a_wrong_link_is_found(self):
        self.assertIn('there is no', broken_link('docs/README.md', 'missing.md'))
        self.assertIn('no heading', broken_link('docs/README.md', '../README.md#missing'))
        self.assertIsNone(broken_link('docs/README.md', '../README.md#on-call'))

    def test_anchors_are_as_on_the_web(self):
        self.assertEqual(anchor('Who may come in over gRPC'), 'who-may-come-in-over-grpc')
        self.assertEqual(anchor('`sqlite`: the store, and more'), 'sqlite-the-store-and-more')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
