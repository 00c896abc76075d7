// Runs in Netron's page: tells Burnish which node is selected there, and selects what is selected in Burnish.
// Netron has no public way to do this; the names used here are those of version 9.3.3.
(() => {
    'use strict';
    let told = '';
    let wanted = null;

    const target = () => {
        const view = window.__view__;
        return view && view.target && view.target._width ? view.target : null;
    };

    const name = (value) => {
        if (!value || !value.type) {
            return '';
        }
        if (value.name) {
            return value.name;
        }
        const outputs = (value.outputs || []).flatMap((argument) => Array.isArray(argument.value) ? argument.value : []);
        const first = outputs.find((output) => output && output.name);
        return first ? `${value.type.name}:${first.name.split('\n')[0]}` : '';
    };

    const select = (node) => {
        const graph = target();
        if (!graph) {
            wanted = node;
            return;
        }
        wanted = null;
        told = node;
        for (const value of graph._table.keys()) {
            if (name(value) === node) {
                graph.scrollTo(graph.activate(value, 'burnish'));
                return;
            }
        }
    };

    const tell = () => {
        const graph = target();
        if (!graph) {
            return;
        }
        document.documentElement.dataset.burnish = 'ready';
        if (wanted !== null) {
            select(wanted);
            return;
        }
        for (const element of graph.selection || []) {
            const node = name(element.value);
            if (node && node !== told) {
                told = node;
                window.fetch('selected', { method: 'POST', body: JSON.stringify({ node }) });
            }
            return;
        }
    };

    const events = new window.EventSource('events');
    events.onmessage = (event) => {
        const message = JSON.parse(event.data);
        if (message.reload) {
            window.location.reload();
        } else {
            select(message.node);
        }
    };
    window.setInterval(tell, 200);
})();
