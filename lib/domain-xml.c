// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/domain-xml.h"

#include <string.h>

#define MAX_DEVICES 1024

static const char *attribute(const char **names, const char **values, const char *name)
{
    for (guint i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) {
            return values[i];
        }
    }
    return NULL;
}

/* <domain><devices><disk|interface><target dev="…"/> */
static void start_element(GMarkupParseContext *context, const char *element, const char **names,
                          const char **values, gpointer user_data, GError **error)
{
    DomainXml *xml = user_data;
    const GSList *stack = g_markup_parse_context_get_element_stack(context);
    const char *parent, *dev;
    GPtrArray *list;

    if (strcmp(element, "target") != 0 || g_slist_length((GSList *)stack) != 4 ||
        strcmp(stack->next->next->data, "devices") != 0) {
        return;
    }
    parent = stack->next->data;
    dev = attribute(names, values, "dev");
    list = strcmp(parent, "disk") == 0 ? xml->disks : strcmp(parent, "interface") == 0 ? xml->nics : NULL;
    if (list != NULL && dev != NULL && list->len < MAX_DEVICES) {
        g_ptr_array_add(list, g_strdup(dev));
    }
}

DomainXml *domain_xml_parse(const char *text)
{
    static const GMarkupParser parser = {.start_element = start_element};
    DomainXml *xml = g_new0(DomainXml, 1);
    GMarkupParseContext *context;
    g_autoptr(GError) error = NULL;

    xml->disks = g_ptr_array_new_with_free_func(g_free);
    xml->nics = g_ptr_array_new_with_free_func(g_free);
    context = g_markup_parse_context_new(&parser, G_MARKUP_TREAT_CDATA_AS_TEXT, xml, NULL);
    if (!g_markup_parse_context_parse(context, text, -1, &error) ||
        !g_markup_parse_context_end_parse(context, &error)) {
        g_debug("domain XML: %s", error->message);
    }
    g_markup_parse_context_free(context);
    return xml;
}

void domain_xml_free(DomainXml *xml)
{
    g_ptr_array_unref(xml->disks);
    g_ptr_array_unref(xml->nics);
    g_free(xml);
}
